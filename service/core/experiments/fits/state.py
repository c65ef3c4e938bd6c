"""The state of a fit as the decisions see it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from service.core.experiments.fits.lengths import Length
from service.core.records.fit import BASE, Run, Trial
from service.core.records.fit_request import Candidate, FitRequest


@dataclass(frozen=True)
class Finals:
    """The last part of a fit: how many leaders are repeated at first, how often the best of them is repeated, and how
    many are refined before: trained anew with the average of their best epochs, for `times` as many epochs.
    """

    leaders: int
    repeats: int
    refined: int
    times: float = 1


@dataclass(frozen=True)
class FitState:
    """Trials in the order of their numbers, runs in the order in which they were decided.

    `length` is that of new trials, None until it is known. `left` is the rest of the time in seconds, None
    for a budget of jobs. `untried` are recipes that have not been started. `refusals` is the number of changes in a row
    that could not be run, up to now. `finals` is None while the fit searches. `has_proof`: the first trainings prove
    already that the best trial so far is better than the base.
    """

    request: FitRequest
    length: Length | None = None
    trials: tuple[Trial, ...] = ()
    runs: tuple[Run, ...] = ()
    left: float | None = None
    untried: tuple[Candidate, ...] = ()
    refusals: int = 0
    finals: Finals | None = None
    has_proof: bool = False

    @property
    def is_over(self) -> bool:
        """Whether the fit must end: its time is over, or its base has no result."""
        is_late = self.left is not None and self.left <= 0
        return is_late or any(run.trial == BASE and run.is_done and run.value is None for run in self.runs[:1])

    @property
    def jobs(self) -> int:
        """How many jobs the fit has: a promoted trial is still the same job."""
        return len({(run.trial, run.repeat) for run in self.runs})

    @property
    def in_flight(self) -> int:
        """How many runs have been decided and are not done."""
        return sum(not run.is_done for run in self.runs)

    def known(self, width: int) -> tuple[Run, ...] | None:
        """The done runs that the next decision may look at, None if it must wait. At most `width` runs are in flight.

        With a budget of jobs, these are all but the last ones, whether those are done or not: so the decisions do not
        depend on the time that any run takes.
        """
        if self.request.jobs is None:
            return None if self.in_flight >= width else tuple(run for run in self.runs if run.is_done)
        visible = self.runs[: max(0, len(self.runs) - width + 1)]
        return visible if all(run.is_done for run in visible) else None


def whole_values(runs: Sequence[Run]) -> dict[int, float]:
    """By trial, the value of its first training over all of its epochs."""
    return {
        run.trial: run.value
        for run in runs
        if run.repeat == 0 and run.value is not None and (not run.is_first_part or run.is_over)
    }


def mean_values(runs: Sequence[Run], repeats: int) -> dict[int, float]:
    """By trial, the mean value of its first training and of its repeats 1 to `repeats`, if it has all of them."""
    values = {(run.trial, run.repeat): run.value for run in runs if run.value is not None and run.repeat}
    values |= {(trial, 0): value for trial, value in whole_values(runs).items()}
    return {
        trial: sum(values[trial, repeat] for repeat in range(repeats + 1)) / (repeats + 1)
        for trial, repeat in values
        if repeat == 0 and all((trial, each) in values for each in range(repeats + 1))
    }


def ranked(values: Mapping[int, float]) -> list[int]:
    """Trials by value, the best first; of equal ones the earlier one."""
    return sorted(values, key=lambda trial: (values[trial], trial))


def rivals(values: Mapping[int, float]) -> list[int]:
    """The trials other than the base, the best first."""
    return [trial for trial in ranked(values) if trial != BASE]
