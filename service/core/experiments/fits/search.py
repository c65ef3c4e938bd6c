"""What a fit trains next. Pure: the same state has the same answer.

Asynchronous successive halving: Li et al., "A System for Massively Parallel Hyperparameter Tuning" (MLSys 2020). A
trial pauses after a part of its epochs; the best third of the paused ones goes on. The last part of the budget refines
the leaders and repeats them with other seeds or on other folds, because the best of many single values is lucky: Cawley
and Talbot, "On Over-fitting in Model Selection and Subsequent Selection Bias" (JMLR 2010).
"""

from collections.abc import Sequence

from service.core.experiments.fits.decision import BeginFinals, Cures, Decision, End, Promote, Sample, Start, Wait
from service.core.experiments.fits.finals import (
    finals_seconds,
    next_final,
    planned_finals,
    reserved_jobs,
    waiting_seconds,
)
from service.core.experiments.fits.state import FitState, ranked, rivals, whole_values
from service.core.experiments.fits.trial_spec import anneals
from service.core.records.fit import BASE, Run
from service.core.records.fit_request import Candidate, Source

REDUCTION = 3  # one in so many paused trials goes on
CURES_OF_BASE, FIRST_RECIPES = 2, 3  # cures that are tried beside the recipes, and recipes before them
CURE_EVERY = 4  # one in so many new trials is a cure of the best one, once the recipes are tried
MOST_REFUSALS = 10  # changes in a row that cannot be run
AHEAD = 2  # runs that are decided for each slot, so that no worker waits for a decision

THE_BASE = Candidate((), Source.BASE, "all other trials are compared with it", is_whole=True)


def decide(state: FitState, cures: Cures, sample: Sample) -> Decision:
    """The next decision. With a budget of minutes, the caller ends the fit when the time is over."""
    if not state.runs:
        return Start(THE_BASE)
    if state.finals:
        return next_final(state, state.finals) or End("the leaders are trained and repeated")
    if why := _is_time_for_finals(state):
        if state.in_flight and not _may_begin_finals(state):
            return Wait()
        finals = planned_finals(state)
        return _last_promoted(state, finals.leaders) or BeginFinals(finals, why)
    known = state.known(AHEAD * state.request.slots)
    if known is None or state.length is None:
        return Wait()
    return _promoted(state, known) or Start(_candidate(state, known, cures, sample))


def _may_begin_finals(state: FitState) -> bool:
    """Whether the finals may begin beside runs in flight: there is a leader, and decisions may depend on times."""
    return state.request.minutes is not None and bool(rivals(whole_values(state.runs)))


def _promoted(state: FitState, known: Sequence[Run]) -> Promote | None:
    """The best of the known paused trials that is to go on, None without one.

    Trials whose learning rate falls in the end are compared with each other: after the first part of their epochs, at
    their highest rate, they look worse than those with a constant one.
    """
    paused = {run.trial: run for run in known if run.is_first_part and run.value is not None}
    values = {trial: run.value for trial, run in paused.items() if run.value is not None}
    gone_on = {run.trial for run in state.runs if not run.is_first_part}
    for is_annealed in (True, False):
        alike = {t: values[t] for t in values if anneals(state.request, state.trials[t - 1].candidate) is is_annealed}
        for trial in rivals(alike)[: len(alike) // REDUCTION]:
            if trial not in gone_on and not paused[trial].is_over:
                return Promote(trial, f"its value {values[trial]:.4g} is among the best third of {len(alike)} like it")
    return None


def _last_promoted(state: FitState, leaders: int) -> Promote | None:
    """A paused trial that goes on before the finals: one of the best, or while fewer trials than the finals have
    leaders were trained to their end. With a budget of minutes, the time that is left is for the trials that were.
    """
    if _may_begin_finals(state):
        return None
    return _promoted(state, state.runs) or _finalist(state, leaders)


def _finalist(state: FitState, leaders: int) -> Promote | None:
    """The best paused trial, while fewer trials than the finals have leaders were trained to their end."""
    whole, gone_on = rivals(whole_values(state.runs)), {run.trial for run in state.runs if not run.is_first_part}
    paused = {run.trial: run.value for run in state.runs if run.is_first_part and run.value is not None}
    left = {trial: value for trial, value in paused.items() if trial not in gone_on and trial not in whole}
    if len(whole) >= leaders or not left:
        return None
    best = min(left, key=lambda trial: (not anneals(state.request, state.trials[trial - 1].candidate), left[trial]))
    return Promote(best, f"the finals compare {leaders} trials; its value {left[best]:.4g} is the best of the others")


def _is_time_for_finals(state: FitState) -> str | None:
    """Why the search must end now, None if it goes on."""
    if state.refusals >= MOST_REFUSALS:
        return f"{state.refusals} changes in a row could not be run"
    if state.request.jobs is not None:
        is_over = state.jobs + reserved_jobs(state.request) >= state.request.jobs
        return "the other jobs are for repeating the leaders" if is_over else None
    is_over = state.left is not None and state.left <= finals_seconds(state) + waiting_seconds(state)
    return "the rest of the time is for refining the leaders and repeating them" if is_over else None


def _candidate(state: FitState, known: Sequence[Run], cures: Cures, sample: Sample) -> Candidate:
    """The next change: recipes and cures of the base in turn, then samples and cures of the best trial."""
    values, started = whole_values(known), len(state.trials)
    of_base = sum(each.candidate.source is Source.CURE and each.candidate.of == BASE for each in state.trials)
    is_turn = started > FIRST_RECIPES or not state.untried
    if is_turn and BASE in values and of_base < CURES_OF_BASE and (own := cures(BASE)):
        return own[0]
    if state.untried:
        return state.untried[0]
    if values and started % CURE_EVERY == 0 and (of_best := cures(ranked(values)[0])):
        return of_best[0]
    return sample(known)
