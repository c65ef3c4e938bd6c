"""What ended fits have shown: what cures did, and which change was kept."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from service.core.spec.parts import Monitor
from service.core.spec.patch import Operations


@dataclass(frozen=True)
class Lessons:
    """What one fit has shown with its kind of data (`channels`) and of `network`.

    `changes` are by cure the values of the objective with it minus those without it, one for each trial; lower is
    better. `kept` is the change of the base that the fit has kept, None without one. `dataset` and `seed` are those of
    the base: they say which images were held out. `fit` is its name, or its id.
    """

    fit: str
    network: str
    channels: int
    objective: Monitor
    dataset: Mapping[str, Any]
    seed: int | None
    changes: Mapping[str, Sequence[float]] = field(default_factory=dict)
    kept: Operations | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data to store."""
        return asdict(self)


@dataclass(frozen=True)
class Tally:
    """In how many trials of fits a cure was tried, and how many of them were better with it."""

    trials: int = 0
    better: int = 0

    @property
    def failing(self) -> float:
        """The share of trials that it does not help, 0 to 1, 0.5 if unknown: one trial of each outcome is assumed
        beside those that were seen (Laplace's rule of succession).
        """
        return (self.trials - self.better + 1) / (self.trials + 2)


NO_TALLY = Tally()
Tallies = Mapping[str, Tally]  # by the id of the cure
