"""The last part of a fit: the leaders are refined, then repeated with other seeds or on other folds.

A refined leader is trained anew with the option `average_best`: the weights of its best epochs are averaged, and the
average is kept if it scores better (a greedy soup; Wortsman et al., "Model soups", ICML 2022). If it was trained on
mirrored images, its scores are the means over each image and its mirror image (`test_time_augmentation`).
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import groupby, product
from typing import Any

from service.core.experiments.fits.decision import Repeat, Start, Wait
from service.core.experiments.fits.state import Finals, FitState, mean_values, rivals, whole_values
from service.core.records.fit import BASE, Run, Trial
from service.core.records.fit_request import Candidate, FitRequest, Source
from service.core.spec import JobSpec
from service.core.spec.models import is_frozen
from service.core.spec.patch import patched, plain
from service.core.text import counted

LEADERS, LEADERS_OF_FEW_IMAGES = 3, 8  # that are repeated; a small validation set tells them apart less well
REFINED = 2  # leaders that are refined
LONGER = (2.0, 1.5)  # how much longer they are trained if there is time
REFINING = (Source.LONGER, Source.SOUP)
AVERAGED = 5  # best epochs of a refined leader
AVERAGE_BEST = "/regularization/average_best"
VIEWS, MIRROR = "/test_time_augmentation", "mirror"
MOST_OF_TIME = 0.5  # the share of the budget that the finals get at most
OVERHEAD_SECONDS = 1.0  # of a job beside its epochs
MARGIN = 1.15  # an estimate of seconds is multiplied by this
MIRRORED_COST = 1.1  # of an epoch that scores each image twice
WHY_BASE = "all leaders are compared with it"


def next_final(state: FitState, finals: Finals) -> Start | Repeat | Wait | None:
    """The next training of the finals, None if there is nothing left to train.

    Estimates allow for slow trainings, so that time may be left after the planned repeats: then the best leader is
    repeated again, and further leaders are repeated. Only the time decides that, not the results, so that the proof
    needs no correction for it.
    """
    if not state.refusals:
        for candidate in _refined(state, finals):
            return Start(candidate)
    for leaders, number in _rounds(state.request, finals):
        if number > finals.repeats and not _fits_in(state, number):
            continue
        is_planned = leaders == finals.leaders and number <= finals.repeats
        if any(not run.is_done and run.repeat < _chosen_after(state.request, leaders, number) for run in state.runs):
            may_start = is_planned or _has_room(state, BASE)
            return (_repeated_base(state, number) if may_start else None) or Wait()
        for trial in _repeated(state, leaders, number):
            if is_planned or _has_room(state, trial):
                return Repeat(trial, number, _why(state, trial, leaders, number))
    return Wait() if state.in_flight else None


def _rounds(request: FitRequest, finals: Finals) -> Iterator[tuple[int, int]]:
    """Numbers of leaders and of their repeats: first those that were planned, then more of both."""
    numbers = range(1, _most_repeats(request) + 1)
    more = range(finals.leaders + 1, _most_leaders(request) + 1)
    yield from ((finals.leaders, number) for number in numbers)
    yield from ((leaders, number) for number in numbers for leaders in more)


def planned_finals(state: FitState) -> Finals:
    """The finals that the rest of the budget can pay for: fewer leaders, then fewer repeats, where it is small."""
    if state.request.jobs is not None:
        return of_jobs(state.request)
    return _within(state, min(_most_seconds(state), (state.left or 0.0) - _flight_seconds(state)))


def of_jobs(request: FitRequest) -> Finals:
    """The finals of a budget of jobs, of which they get half at most. Without repeats, no leader is refined either."""
    most = (request.jobs or 0) // 2
    plans = (plan for plan in _plans(request) if plan.refined <= min(1, plan.repeats))
    affordable = (plan for plan in plans if plan.refined + _repeats(plan) <= most)
    return next(affordable, Finals(0, 0, 0))


def reserved_jobs(request: FitRequest) -> int:
    """How many of the budget's jobs are for the finals."""
    finals = of_jobs(request)
    return finals.refined + _repeats(finals)


def finals_seconds(state: FitState) -> float:
    """The time that the finals need, in seconds, as far as the leaders' own times tell. At most MOST_OF_TIME of all."""
    return _seconds(state, _within(state, _most_seconds(state)), _seconds_by_trial(state))


def may_be_near(state: FitState) -> bool:
    """Whether the finals may begin now, however long they are. Always False with a budget of jobs."""
    return state.left is not None and state.left <= _most_seconds(state) + waiting_seconds(state)


def waiting_seconds(state: FitState) -> float:
    """About how long the runs in flight and one more still take, in seconds."""
    return _flight_seconds(state) + _typical(state, is_first_part=False) / state.request.slots


def _flight_seconds(state: FitState) -> float:
    """About how long the runs in flight still take, in seconds. Those that train are half done."""
    flight = [_typical(state, is_first_part=run.is_first_part) for run in state.runs if not run.is_done]
    slots = state.request.slots
    return (sum(flight) - sum(flight[:slots]) / 2) / slots


def _typical(state: FitState, *, is_first_part: bool) -> float:
    """The mean seconds of such a run so far."""
    done = [run.seconds for run in state.runs if run.is_done and run.is_first_part is is_first_part]
    return sum(done) / len(done) if done else 0.0


def _within(state: FitState, seconds: float) -> Finals:
    """The most thorough finals that take at most these seconds, with no more leaders than have a result."""
    spent, plans = _seconds_by_trial(state), _plans(state.request, has_proof=state.has_proof)
    most = max(1, len(rivals(whole_values(state.runs))))
    possible = (plan for plan in plans if plan.leaders <= most)
    return next((plan for plan in possible if _seconds(state, plan, spent) <= seconds), Finals(0, 0, 0))


def _plans(request: FitRequest, *, has_proof: bool = False) -> Iterator[Finals]:
    """All finals, the most thorough first. Refining makes the model better, repeats make its proof better.

    Where both are not affordable, the leaders are refined. With minutes, folds and no proof yet, they are repeated
    instead: the images of other folds prove a gain without a correction for the number of trials, and without a proof
    the base is kept.
    """
    refinements = tuple(_refinements(request))
    repeats = range(_most_repeats(request), 0, -1)
    if has_proof or not _has_folds_and_minutes(request):
        for refinement in refinements:
            yield from _with_leaders(request, product([refinement], repeats))
            yield Finals(0, 0, *refinement)
    else:
        yield from _with_leaders(request, ((refinement, number) for number in repeats for refinement in refinements))
        yield from (Finals(0, 0, *refinement) for refinement in refinements)


def _with_leaders(request: FitRequest, plans: Iterable[tuple[tuple[int, float], int]]) -> Iterator[Finals]:
    """The finals of each refinement and number of repeats, those with the most leaders first."""
    for refinement, repeats in plans:
        yield from (Finals(leaders, repeats, *refinement) for leaders in range(_most_leaders(request), 0, -1))


def _most_leaders(request: FitRequest) -> int:
    return LEADERS_OF_FEW_IMAGES if request.folds else LEADERS


def _most_repeats(request: FitRequest) -> int:
    return min(request.seeds, request.folds or request.seeds) - 1


def _refinements(request: FitRequest) -> Iterator[tuple[int, float]]:
    """How many leaders are refined and for how many times their epochs, the most thorough first, the last one none: as
    long as before if the client has chosen the epochs, and with a budget of jobs, which is no limit of time.
    """
    if request.minutes is not None and not request.keeps_epochs:
        yield from product(range(REFINED, 0, -1), LONGER)
    yield from ((1, 1), (0, 1))


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
    """The seconds that the finals of a plan take. Refined leaders take the first places of those that are repeated."""
    best = [spent[trial] for trial in rivals(whole_values(state.runs))[: max(plan.leaders, plan.refined)]]
    refined = [MIRRORED_COST * plan.times * seconds for seconds in best[: plan.refined]]
    stages = [refined]
    for size, numbers in groupby(range(1, plan.repeats + 1), key=partial(_size, plan.leaders)):
        stages.append([*[*refined, *best][:size], spent.get(BASE, 0.0)] * len(list(numbers)))
    return MARGIN * sum(_side_by_side(stage, state.request.slots) for stage in stages)


def _side_by_side(seconds: Sequence[float], slots: int) -> float:
    """The seconds that trainings take in `slots` slots: at least those of the longest one."""
    return max(sum(seconds) / slots, max(seconds, default=0.0))


def _fits_in(state: FitState, number: int) -> bool:
    """Whether the repeats of this number, of a leader and the base, have been started or fit in the time after the runs
    in flight.
    """
    if any(run.repeat == number for run in state.runs):
        return True
    best = rivals(whole_values(state.runs))[:1]
    if state.left is None or not best:
        return False
    spent, slots = _seconds_by_trial(state), state.request.slots
    under_way = [_expected(state, run, spent) for run in state.runs if not run.is_done]
    return MARGIN * _side_by_side([*under_way, spent[BASE], *(spent[trial] for trial in best)], slots) <= state.left


def _expected(state: FitState, run: Run, spent: Mapping[int, float]) -> float:
    """The seconds that a run in flight takes as a whole. A repeat takes as long as the first training of its trial. A
    refined leader takes the time of the leader, multiplied as its epochs are. Other runs take the usual time.
    """
    candidate = state.trials[run.trial - 1].candidate
    if run.repeat:
        return spent[run.trial]
    if candidate.of is not None and candidate.source in REFINING:
        return MIRRORED_COST * (state.finals.times if state.finals else 1.0) * spent[candidate.of]
    return _typical(state, is_first_part=run.is_first_part)


def _has_room(state: FitState, trial: int) -> bool:
    """Whether a slot is free, and a repeat of the trial fits in the time."""
    if state.left is None or state.in_flight >= state.request.slots:
        return False
    return MARGIN * _seconds_by_trial(state)[trial] <= state.left


def _refined(state: FitState, finals: Finals) -> Iterator[Candidate]:
    """The leaders as refined trials that have not been started."""
    times = finals.times
    made = {each.candidate.of for each in state.trials if each.candidate.source in REFINING}
    usual = {each.number: each for each in state.trials if each.candidate.source not in REFINING}
    best = rivals({trial: value for trial, value in whole_values(state.runs).items() if trial in usual})
    for place, number in enumerate(best[: finals.refined], 1):
        if number not in made and len(made) < finals.refined:
            trial = usual[number]
            changes = _changes(state.request, trial, times)
            rest = [step for step in trial.candidate.patch if step["path"] not in changes]
            patch = (*rest, *({"op": "replace", "path": path, "value": value} for path, value in changes.items()))
            longer = f"{times:g} times as many epochs and with " if times > 1 else ""
            views = ", scored on mirrored images too" if VIEWS in changes else ""
            why = f"trial {number}, which is number {place} so far, with {longer}the average of its best epochs{views}"
            yield Candidate(patch, Source.LONGER if times > 1 else Source.SOUP, why, number, is_whole=True)


def _changes(request: FitRequest, trial: Trial, times: float) -> dict[str, Any]:
    """The options that refine a leader, by their pointers."""
    longer = {"/epochs": round(times * trial.epochs)} if times > 1 else {}
    views = {VIEWS: MIRROR} if _is_mirrored(request, trial) else {}
    return {AVERAGE_BEST: AVERAGED, **longer, **views}


def _is_mirrored(request: FitRequest, trial: Trial) -> bool:
    """Whether scores can be averaged with those of mirrored images: the trial is trained on them. Features of frozen
    layers are kept only for images as they are.
    """
    spec = JobSpec.from_dict(patched(plain(request.spec), trial.candidate.patch))
    return bool(spec.augmentation.horizontal_flip) and not is_frozen(spec.model, 1)


def _repeated_base(state: FitState, number: int) -> Repeat | None:
    """The repeat of the base that has not been started: it does not depend on the leaders, which still train."""
    is_started = any(run.trial == BASE and run.repeat == number for run in state.runs)
    if is_started or not rivals(whole_values(state.runs)):
        return None
    return Repeat(BASE, number, WHY_BASE)


def _repeated(state: FitState, leaders: int, number: int) -> Iterator[int]:
    """The trials whose repeat of this number has not been started: first the base, without which nothing is proved."""
    started = {run.trial for run in state.runs if run.repeat == number}
    best = _ranked(state, leaders, number)[: max(1, _size(leaders, number))]
    if best:
        yield from (trial for trial in (BASE, *best) if trial not in started)


def _ranked(state: FitState, leaders: int, number: int) -> list[int]:
    """The leaders in the order in which they have a repeat of this number: by the mean of their trainings so far.

    With folds and a budget of minutes, the best one by its first training comes first: its gain is tested with the
    largest share of the error rate, so it has the images of all folds.
    """
    ranked = rivals(mean_values(state.runs, _chosen_after(state.request, leaders, number) - 1))
    first = rivals(whole_values(state.runs))[:1] if _has_folds_and_minutes(state.request) else []
    return sorted(ranked, key=lambda trial: trial not in first)


def _has_folds_and_minutes(request: FitRequest) -> bool:
    """Whether the proof comes before other plans: time that is left may then go to further leaders. A budget of jobs
    has no such rest, so it compares more leaders: the first one may have been lucky.
    """
    return bool(request.folds) and request.minutes is not None


def _chosen_after(request: FitRequest, leaders: int, number: int) -> int:
    """How many trainings of each leader choose those that have a repeat of this number.

    With a budget of minutes, where no fewer leaders are left than in the repeat before, they are the same ones: they
    are trained at the same time. With a budget of jobs, a repeat without a result counts, whenever it ends.
    """
    if request.minutes is None:
        return number
    return next(earlier for earlier in range(1, number + 1) if _size(leaders, earlier) == _size(leaders, number))


def _why(state: FitState, trial: int, leaders: int, number: int) -> str:
    if trial == BASE:
        return WHY_BASE
    if _has_folds_and_minutes(state.request) and trial == rivals(whole_values(state.runs))[0]:
        return "it is the best one by its first training: its gain is tested first"
    trainings = _chosen_after(state.request, leaders, number)
    place = rivals(mean_values(state.runs, trainings - 1)).index(trial) + 1
    return f"it is number {place} by the mean of {counted(trainings, 'training')}"


def _repeats(plan: Finals) -> int:
    """How many jobs the repeats are, those of the base included."""
    return sum(_size(plan.leaders, number) + 1 for number in range(1, plan.repeats + 1))


def _size(leaders: int, number: int) -> int:
    """How many leaders have a repeat of this number: half of those before."""
    return math.ceil(leaders / (1 << (number - 1)))
