"""The declaration of an option of the spec: a dataclass field with its default, range, unit and meaning."""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Option:
    """The meaning and the allowed values of one field. Bounds are inclusive unless `open_below` or `open_above`.

    `since` is the release that added the option; None: 0.1.0. An option with `since` is stored only if it differs from
    its default, so that workers of older releases can still run the job. `needs` names options of the same part: if
    all of them are at their defaults, this option has no effect. `only_with` names an option of the same part and the
    one value of it with which this option has an effect. `later` are the values that a release after the option's own
    has added, with that release; the record of a part with such a value says so. `timm/` stands for all values that
    begin with it.
    """

    meaning: str
    minimum: float | None = None
    maximum: float | None = None
    open_below: bool = False
    open_above: bool = False
    length: tuple[int, int] | None = None
    unit: str | None = None
    choices: tuple[str, ...] | None = None
    since: str | None = None
    needs: tuple[str, ...] = ()
    later: Mapping[str, str] = field(default_factory=dict)
    only_with: tuple[str, str] | None = None

    @property
    def description(self) -> str:
        """The meaning with the unit and the release that added the option or some of its values."""
        unit = [f"Unit: {self.unit}"] if self.unit else []
        since = [f"Since {self.since}"] if self.since else []
        added = [f"{value} since {release}" for value, release in self.later.items()]
        return ". ".join([self.meaning, *unit, *since, *([", ".join(added)] if added else [])])

    @property
    def bounds(self) -> str | None:
        """The numeric range in words, for example `0 to below 1`; None without a range."""
        low = None if self.minimum is None else f"{'above ' if self.open_below else ''}{self.minimum:.12g}"
        high = None if self.maximum is None else f"{'below ' if self.open_above else ''}{self.maximum:.12g}"
        if low and high:
            return f"{low} to {high}"
        if low:
            return low if self.open_below else f"{low} or more"
        return f"at most {high}" if high else None


def option(meaning: str, default: Any = MISSING, **limits: Any) -> Any:
    """A dataclass field that carries its Option."""
    return field(default=default, metadata={"option": Option(meaning, **limits)})


def default_of(f: Field[Any]) -> Any:
    """The default of a dataclass field; MISSING for a required field."""
    return f.default if f.default_factory is MISSING else f.default_factory()


def is_at_default(f: Field[Any], owner: Any) -> bool:
    """Whether this field of `owner` has its default value."""
    return bool(getattr(owner, f.name) == default_of(f))


def part(meaning: str, default: Callable[[], Any], since: str | None = None) -> Any:
    """A dataclass field that holds a part of the spec; `default` makes its default."""
    return field(default_factory=default, metadata={"option": Option(meaning, since=since)})
