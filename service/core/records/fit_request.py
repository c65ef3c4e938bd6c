"""What a fit is to do: its base, its budget, the values that it may try."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from service.core.spec import JobSpec
from service.core.spec.parts import Monitor, direction
from service.core.spec.patch import Operations
from service.core.text import MINUTE

VARIED = 1.6  # an epoch of a change beside one of the base: normalization and varied images take time


class Source(StrEnum):
    """Where a trial comes from."""

    BASE = "base"  # the spec of the request
    EARLIER = "earlier"  # what an earlier fit on similar data has kept
    RECIPE = "recipe"  # a change that is known to be good
    CURE = "cure"  # advice of the diagnosis of an earlier trial
    SAMPLER = "sampler"  # drawn from the space
    LONGER = "longer"  # an earlier trial with more epochs, of which the best are averaged
    SOUP = "soup"  # an earlier trial whose best epochs are averaged


@dataclass(frozen=True)
class Range:
    """The values that an option may take in a fit: the `choices`, or else the numbers from `low` to `high`.

    `log`: drawn evenly on a logarithmic scale. Choices are plain JSON data.
    """

    low: float = 0.0
    high: float = 0.0
    log: bool = False
    choices: tuple[Any, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether only whole numbers are drawn."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    @property
    def ends(self) -> tuple[Any, ...]:
        """The values that must be valid in a spec: all choices, or both ends."""
        return self.choices or (self.low, self.high)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data, as requests have it."""
        return (
            {"choices": list(self.choices)} if self.choices else {"low": self.low, "high": self.high, "log": self.log}
        )

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Range":
        return cls(**{**data, "choices": tuple(data.get("choices") or ())})


Space = Mapping[str, Range]  # by the JSON pointer of the option in the spec


@dataclass(frozen=True)
class Candidate:
    """A change of the base spec (RFC 6902), where it comes from, and why it may help.

    `of` is the trial that it was made from, None for the base; `cure` the id of the advice. `is_whole`: the trial runs
    to its last epoch without a pause.
    """

    patch: Operations
    source: Source
    why: str
    of: int | None = None
    cure: str | None = None
    is_whole: bool = False

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Candidate":
        return cls(**{**data, "source": Source(data["source"])})


@dataclass(frozen=True)
class FitRequest:
    """A request with everything resolved when it was accepted, so that no later release changes its decisions.

    The budget is `minutes` of wall time from the first claim, or a number of `jobs`. `seeds` is how often a leader is
    trained in all. With `folds`, each of these trainings validates on another fold. `recipes` are tried first, in this
    order. `slots` is the number of jobs that the live workers train side by side, `channels` that of the images.
    `base_seconds` limits each training of the base. `keeps_epochs`: the client has given the number of epochs. `cures`
    orders cures by what they did in earlier fits, the lowest number first. `cost` is the time of an epoch of a usual
    trial beside one of the base. `ensemble`: the mean of the leaders' probabilities is wanted too.
    """

    spec: JobSpec
    minutes: float | None
    jobs: int | None
    objective: Monitor
    seeds: int
    folds: int | None
    space: Space
    recipes: tuple[Candidate, ...]
    slots: int
    base_seconds: float | None = None
    channels: int = 1
    keeps_epochs: bool = False
    cures: Mapping[str, float] = field(default_factory=dict)
    cost: float = VARIED
    ensemble: bool = False

    @property
    def seconds(self) -> float | None:
        """The budget of time, None for one of jobs."""
        return None if self.minutes is None else MINUTE * self.minutes

    def lowered(self, value: float) -> float:
        """A value of the objective, or the value of one that `lowered` gave: with the sign that lower is better."""
        return value if direction(self.objective) == "min" else -value

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data to store."""
        space = {path: values.to_dict() for path, values in self.space.items()}
        recipes = [asdict(recipe) for recipe in self.recipes]
        return {**vars(self), "spec": self.spec.to_record(), "space": space, "recipes": recipes}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "FitRequest":
        """From `to_dict`."""
        resolved: dict[str, Any] = {
            "spec": JobSpec.from_dict(data["spec"]),
            "space": {path: Range.from_dict(values) for path, values in data["space"].items()},
            "recipes": tuple(Candidate.from_dict(recipe) for recipe in data["recipes"]),
        }
        return cls(**{**data, **resolved})
