"""What a fit trains next. Pure: the same state has the same answer.

Asynchronous successive halving: Li et al., "A System for Massively Parallel Hyperparameter Tuning" (MLSys 2020). A
trial pauses after a part of its epochs; the best third of the paused ones goes on. The last part of the budget trains
the leaders longer and repeats them with other seeds or on other folds, because the best of many single values is
lucky: Cawley and Talbot, "On Over-fitting in Model Selection and Subsequent Selection Bias" (JMLR 2010).
"""

from collections.abc import Sequence

from service.core.experiments.fits.decision import BeginFinals, Cures, Decision, End, Promote, Sample, Start, Wait
from service.core.experiments.fits.finals import finals_seconds, next_final, reserved_jobs, sizes
from service.core.experiments.fits.state import FitState, ranked, rivals, whole_values
from service.core.records.fit import BASE, FitPhase, Run
from service.core.records.fit_request import Candidate, Source

REDUCTION = 3  # one in so many paused trials goes on
CURES_OF_BASE = 2  # that are tried beside the recipes
CURE_EVERY = 4  # one in so many new trials is a cure of the best one, once the recipes are tried
AHEAD = 2  # runs that are decided for each slot, so that no worker waits for a decision

THE_BASE = Candidate((), Source.BASE, "everything else is compared with it", is_whole=True)


def decide(state: FitState, cures: Cures, sample: Sample) -> Decision:
    """The next decision. With a budget of minutes, the caller ends the fit when the time is over."""
    if not state.runs:
        return Start(THE_BASE)
    if state.phase is FitPhase.FINALS:
        leaders_left = next_final(state)
        return leaders_left or End("the leaders are trained and repeated")
    if why := _is_time_for_finals(state):
        least = max(1, sizes(state.request)[0])  # the finals need as many trials as they have leaders
        return Wait() if state.in_flight else _promoted(state.runs, state.runs, least) or BeginFinals(why)
    known = state.known(AHEAD * state.request.slots)
    if known is None or state.length is None:
        return Wait()
    return _promoted(known, state.runs) or Start(_candidate(state, known, cures, sample))


def _promoted(known: Sequence[Run], runs: Sequence[Run], least: int = 0) -> Promote | None:
    """The best of the known paused trials that is to go on, None without one. At least `least` of all go on."""
    paused = {run.trial: run for run in known if run.is_first_part and run.value is not None}
    values = {trial: run.value for trial, run in paused.items() if run.value is not None}
    gone_on = {run.trial for run in runs if not run.is_first_part}
    for trial in rivals(values)[: max(least, len(values) // REDUCTION)]:
        if trial not in gone_on and not paused[trial].is_over:
            return Promote(trial, f"its value {values[trial]:.4g} is among the best third of {len(values)}")
    return None


def _is_time_for_finals(state: FitState) -> str | None:
    """Why the search must end now, None if it goes on."""
    if state.request.jobs is not None:
        is_over = state.jobs + reserved_jobs(state.request) >= state.request.jobs
        return "the other jobs are for repeating the leaders" if is_over else None
    is_over = state.left is not None and state.left <= finals_seconds(state)
    return "the rest of the time is for training the leaders longer and repeating them" if is_over else None


def _candidate(state: FitState, known: Sequence[Run], cures: Cures, sample: Sample) -> Candidate:
    """The next change: recipes and cures of the base in turn, then samples and cures of the best trial."""
    values, started = whole_values(known), len(state.trials)
    of_base = sum(each.candidate.source is Source.CURE and each.candidate.of == BASE for each in state.trials)
    if BASE in values and of_base < CURES_OF_BASE and (own := cures(BASE)):
        return own[0]
    if state.untried:
        return state.untried[0]
    if values and started % CURE_EVERY == 0 and (of_best := cures(ranked(values)[0])):
        return of_best[0]
    return sample(known)
