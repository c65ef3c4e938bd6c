"""How an option of the spec is declared, once: a dataclass field with its default, range, unit and meaning."""

from collections.abc import Callable
from dataclasses import MISSING, Field, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Option:
    """What is allowed for one field of the spec. Bounds are inclusive unless `open_below` or `open_above`.

    `since` is the release that the option came with; None: it is there since 0.1.0. At its default such an option is
    left out of the record, so that workers of older releases still take the job. `needs` are options of the same part:
    without one of them this one has no effect.
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

    @property
    def description(self) -> str:
        """The meaning with the unit and the release that the option came with, for people."""
        notes = [note for note in (self.unit, self.since and f"since {self.since}") if note]
        return f"{self.meaning} ({'; '.join(notes)})" if notes else self.meaning

    @property
    def bounds(self) -> str | None:
        """The numeric range in words, e.g. `0 to below 1`; None where there is none."""
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
    """The default of a dataclass field; MISSING where the field is required."""
    return f.default if f.default_factory is MISSING else f.default_factory()


def is_at_default(f: Field[Any], owner: Any) -> bool:
    """Whether that field of `owner` holds its default."""
    return bool(getattr(owner, f.name) == default_of(f))


def part(meaning: str, default: Callable[[], Any], since: str | None = None) -> Any:
    """A field that is itself a part of the spec; `default` is called to make it."""
    return field(default_factory=default, metadata={"option": Option(meaning, since=since)})
