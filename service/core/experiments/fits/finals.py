"""The last part of a fit: the leaders are trained longer, then repeated with other seeds or on other folds."""

import math
from collections.abc import Iterator, Mapping

from service.core.experiments.fits.decision import Repeat, Start, Wait
from service.core.experiments.fits.state import Finals, FitState, mean_values, rivals, whole_values
from service.core.records.fit import BASE
from service.core.records.fit_request import Candidate, FitRequest, Source
from service.core.text import counted

LEADERS, LEADERS_OF_FEW_IMAGES = 3, 8  # that are repeated; a small validation set tells them apart less well
LONGER, TIMES = 2, 2  # leaders that are trained longer, and how much longer
MOST_OF_TIME = 0.5  # the share of the budget that the finals get at most
OVERHEAD_SECONDS = 1.0  # of a job beside its epochs
MARGIN = 1.15  # an estimate of seconds is multiplied by this


def next_final(state: FitState, finals: Finals) -> Start | Repeat | Wait | None:
    """The next training of the finals, None if there is nothing left to train."""
    for candidate in _longer(state, finals.longer):
        return Start(candidate)
    for number in range(1, finals.repeats + 1):
        if state.in_flight and not any(run.repeat == number for run in state.runs):
            return Wait()
        for trial in _repeated(state, finals.leaders, number):
            return Repeat(trial, number, _why(state, trial, number))
    return Wait() if state.in_flight else None


def planned_finals(state: FitState) -> Finals:
    """The finals that the budget can pay for: fewer leaders, then fewer repeats, where it is small."""
    if state.request.jobs is not None:
        return of_jobs(state.request)
    spent = _seconds_by_trial(state)
    affordable = (plan for plan in _plans(state.request) if _seconds(state, plan, spent) <= _most_seconds(state))
    return next(affordable, Finals(0, 0, 0))


def of_jobs(request: FitRequest) -> Finals:
    """The finals of a budget of jobs, of which they get half at most."""
    jobs = request.jobs or 0
    affordable = (plan for plan in _plans(request) if not plan.longer and _repeats(plan) <= jobs // 2)
    return next(affordable, Finals(0, 0, 0))


def reserved_jobs(request: FitRequest) -> int:
    """How many of the budget's jobs are for the finals."""
    return _repeats(of_jobs(request))


def finals_seconds(state: FitState) -> float:
    """The time that the finals need, in seconds, as far as the leaders' own times tell. At most MOST_OF_TIME of all."""
    needed = _seconds(state, planned_finals(state), _seconds_by_trial(state))
    return min(needed, _most_seconds(state))


def waiting_seconds(state: FitState) -> float:
    """About how long the runs in flight still take, in seconds."""
    whole = [run.seconds for run in state.runs if run.is_done and not run.is_first_part]
    typical = sum(whole) / len(whole) if whole else 0.0
    return typical * min(1.0, state.in_flight / (2 * state.request.slots))


def _plans(request: FitRequest) -> Iterator[Finals]:
    """All finals, the most thorough first."""
    leaders = LEADERS_OF_FEW_IMAGES if request.folds else LEADERS
    most = min(request.seeds, request.folds or request.seeds) - 1
    longer = () if request.keeps_epochs else (LONGER,)
    for repeats in range(most, 0, -1):
        yield from (Finals(number, repeats, count) for count in longer for number in (leaders, leaders // 2))
        yield from (Finals(fewer, repeats, 0) for fewer in range(leaders, 0, -1))
    yield from (Finals(0, 0, count) for count in (*longer, 0))


def _most_seconds(state: FitState) -> float:
    return MOST_OF_TIME * (state.request.seconds or 0.0)


def _seconds_by_trial(state: FitState) -> dict[int, float]:
    """The seconds that the first training of each trial took, with its pause."""
    spent: dict[int, float] = {}
    for run in state.runs:
        if run.repeat == 0:
            spent[run.trial] = max(run.seconds, spent.get(run.trial, 0.0)) + OVERHEAD_SECONDS
    return spent


def _seconds(state: FitState, plan: Finals, spent: Mapping[int, float]) -> float:
    """The seconds that the finals of a plan take. Leaders that are trained longer may be those that are repeated."""
    best = [spent[trial] for trial in rivals(whole_values(state.runs))[: max(plan.leaders, plan.longer)]]
    times = TIMES if plan.longer else 1
    stages = [[TIMES * seconds for seconds in best[: plan.longer]]]
    for number in range(1, plan.repeats + 1):
        stages.append([times * seconds for seconds in best[: _size(plan.leaders, number)]] + [spent.get(BASE, 0.0)])
    slots = state.request.slots
    return MARGIN * sum(max(sum(stage) / slots, max(stage, default=0.0)) for stage in stages)


def _longer(state: FitState, count: int) -> Iterator[Candidate]:
    """The leaders with more epochs that have not been started."""
    made = {each.candidate.of for each in state.trials if each.candidate.source is Source.LONGER}
    usual = {each.number: each for each in state.trials if each.candidate.source is not Source.LONGER}
    best = rivals({trial: value for trial, value in whole_values(state.runs).items() if trial in usual})
    for place, number in enumerate(best[:count], 1):
        if number not in made:
            trial = usual[number]
            rest = [step for step in trial.candidate.patch if step["path"] != "/epochs"]
            longer = {"op": "replace", "path": "/epochs", "value": TIMES * trial.epochs}
            why = f"trial {number}, which is number {place} so far, with {TIMES} times as many epochs"
            yield Candidate((*rest, longer), Source.LONGER, why, number, is_whole=True)


def _repeated(state: FitState, leaders: int, number: int) -> Iterator[int]:
    """The trials whose repeat of this number has not been started: first the base, without which nothing is proved."""
    started = {run.trial for run in state.runs if run.repeat == number}
    best = rivals(mean_values(state.runs, number - 1))[: _size(leaders, number)]
    if best:
        yield from (trial for trial in (BASE, *best) if trial not in started)


def _why(state: FitState, trial: int, number: int) -> str:
    if trial == BASE:
        return "the leaders are compared with it"
    place = rivals(mean_values(state.runs, number - 1)).index(trial) + 1
    return f"it is number {place} by the mean of {counted(number, 'training')}"


def _repeats(plan: Finals) -> int:
    """How many jobs the repeats are, those of the base included."""
    return sum(_size(plan.leaders, number) + 1 for number in range(1, plan.repeats + 1))


def _size(leaders: int, number: int) -> int:
    """How many leaders have a repeat of this number: half of those before."""
    return math.ceil(leaders / (1 << (number - 1)))
