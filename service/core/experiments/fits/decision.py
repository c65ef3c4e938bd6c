"""The decisions of a fit."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from service.core.experiments.fits.state import Finals
from service.core.records.fit import Run
from service.core.records.fit_request import Candidate


@dataclass(frozen=True)
class Start:
    """Start a new trial."""

    candidate: Candidate


@dataclass(frozen=True)
class Promote:
    """A paused trial goes on to its last epoch."""

    trial: int
    why: str


@dataclass(frozen=True)
class Repeat:
    """Train a trial again, with another seed or on another fold. `number` counts from 1."""

    trial: int
    number: int
    why: str


@dataclass(frozen=True)
class BeginFinals:
    """Try no new changes from here on. Trials that are still paused are ended."""

    finals: Finals
    why: str


@dataclass(frozen=True)
class Wait:
    """Nothing can be decided before a run is done."""


@dataclass(frozen=True)
class End:
    """The fit has what it can get."""

    why: str


Act = Start | Promote | Repeat | BeginFinals | End
Decision = Act | Wait
Cures = Callable[[int], Sequence[Candidate]]  # the untried cures of a trial, the most promising first
Sample = Callable[[Sequence[Run]], Candidate]  # a new change, from the runs that may be looked at
