"""The last part of a fit: the leaders are trained longer, then repeated with other seeds or on other folds."""

import math
from collections.abc import Iterator

from service.core.experiments.fits.decision import Repeat, Start, Wait
from service.core.experiments.fits.state import FitState, mean_values, rivals, whole_values
from service.core.records.fit import BASE
from service.core.records.fit_request import Candidate, FitRequest, Source

LEADERS, LEADERS_OF_FEW_IMAGES = 3, 4  # that are repeated; a small validation set tells them apart less well
LONGER, TIMES = 2, 2  # leaders that are trained longer, and how much longer
MOST_OF_TIME = 0.5  # the share of the budget that the finals get at most
OVERHEAD_SECONDS = 1.0  # of a job beside its epochs
MARGIN = 1.15  # an estimate of seconds is multiplied by this


def next_final(state: FitState) -> Start | Repeat | Wait | None:
    """The next training of the finals, None if there is nothing left to train."""
    if state.request.minutes is not None:
        for candidate in _longer(state):
            return Start(candidate)
    leaders, most = sizes(state.request)
    for number in range(1, most + 1):
        if state.in_flight and not _has_begun(state, number):
            return Wait()
        for trial in _repeated(state, leaders, number):
            return Repeat(trial, number, _why(state, trial, number))
    return Wait() if state.in_flight else None


def sizes(request: FitRequest) -> tuple[int, int]:
    """How many leaders are repeated at first, and how often the best of them is."""
    leaders, most = LEADERS_OF_FEW_IMAGES if request.folds else LEADERS, request.seeds - 1
    if request.folds:
        most = min(most, request.folds - 1)
    while request.jobs is not None and most and _repeats(leaders, most) > request.jobs // 2:
        leaders, most = (leaders - 1, most) if leaders > 1 else (leaders, most - 1)
    return leaders, most


def reserved_jobs(request: FitRequest) -> int:
    """How many of the budget's jobs are for the finals."""
    return _repeats(*sizes(request))


def finals_seconds(state: FitState) -> float:
    """The time that the finals need, in seconds, as far as the leaders' own times tell. At most MOST_OF_TIME of all."""
    spent: dict[int, float] = {}
    for run in state.runs:
        if run.repeat == 0:
            spent[run.trial] = max(run.seconds, spent.get(run.trial, 0.0)) + OVERHEAD_SECONDS
    leaders, most = sizes(state.request)
    best = [spent[trial] for trial in rivals(whole_values(state.runs))[: max(leaders, LONGER)]]
    stages = [[TIMES * seconds for seconds in best[:LONGER]]]
    for number in range(1, most + 1):
        stages.append([TIMES * seconds for seconds in best[: _size(leaders, number)]] + [spent[BASE]])
    slots = state.request.slots
    needed = MARGIN * sum(max(sum(stage) / slots, max(stage, default=0.0)) for stage in stages)
    return min(needed, MOST_OF_TIME * 60 * (state.request.minutes or 0.0))


def _longer(state: FitState) -> Iterator[Candidate]:
    """The leaders with more epochs that have not been started."""
    made = {each.candidate.of for each in state.trials if each.candidate.source is Source.LONGER}
    usual = {each.number: each for each in state.trials if each.candidate.source is not Source.LONGER}
    best = rivals({trial: value for trial, value in whole_values(state.runs).items() if trial in usual})
    for place, number in enumerate(best[:LONGER], 1):
        if number not in made:
            trial = usual[number]
            rest = [step for step in trial.candidate.patch if step["path"] != "/epochs"]
            longer = {"op": "replace", "path": "/epochs", "value": TIMES * trial.epochs}
            why = f"trial {number}, which is number {place} so far, with {TIMES} times as many epochs"
            yield Candidate((*rest, longer), Source.LONGER, why, number, is_whole=True)


def _repeated(state: FitState, leaders: int, number: int) -> Iterator[int]:
    """The trials whose repeat of this number has not been started."""
    started = {run.trial for run in state.runs if run.repeat == number}
    best = rivals(mean_values(state.runs, number - 1))[: _size(leaders, number)]
    if best:
        yield from (trial for trial in (*best, BASE) if trial not in started)


def _has_begun(state: FitState, number: int) -> bool:
    return any(run.repeat == number for run in state.runs)


def _why(state: FitState, trial: int, number: int) -> str:
    if trial == BASE:
        return "the leaders are compared with it"
    place = rivals(mean_values(state.runs, number - 1)).index(trial) + 1
    return f"it is number {place} by the mean of {number} training{'s' if number > 1 else ''}"


def _repeats(leaders: int, most: int) -> int:
    """How many jobs the repeats are, those of the base included."""
    return sum(_size(leaders, number) + 1 for number in range(1, most + 1))


def _size(leaders: int, number: int) -> int:
    """How many leaders have a repeat of this number: half of those before."""
    return math.ceil(leaders / (1 << (number - 1)))
