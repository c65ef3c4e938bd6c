"""The decisions of fits, with simulated runs."""

import math
import random
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from service.core.experiments.fits.decision import BeginFinals, Promote, Repeat, Start
from service.core.experiments.fits.finals import next_final, planned_finals, reserved_jobs
from service.core.experiments.fits.lengths import Length
from service.core.experiments.fits.search import THE_BASE
from service.core.experiments.fits.state import Finals, FitState, mean_values, rivals, whole_values
from service.core.records.fit import BASE, Run, Trial
from service.core.records.fit_request import Candidate, Source
from tests.service.core.experiments.fits.simulated import Simulation, request

RECIPES = tuple(
    Candidate(({"op": "replace", "path": "/batch_size", "value": size},), Source.RECIPE, f"batches of {size}")
    for size in (16, 32)
)


def valued(trial: Trial, repeat: int, is_first_part: bool) -> float:
    """A loss with noise; the best learning rate is 0.01."""
    noise = random.Random(f"{trial.number} {repeat}").gauss(0, 0.01)
    rates = [step["value"] for step in trial.candidate.patch if step["path"] == "/optimizer/lr"]
    loss = 0.2 + 0.1 * abs(math.log10(rates[-1]) + 2) if rates else 0.5
    return loss + noise + (0.2 if is_first_part else 0.0)


def decided(simulation: Simulation, kind: type) -> list[Any]:
    return [decision for decision in simulation.decisions if isinstance(decision, kind)]


@pytest.mark.parametrize("jobs", [2, 3, 5, 12, 40])
def test_a_budget_of_jobs_is_spent_and_not_exceeded(jobs: int) -> None:
    simulation = Simulation(request(jobs=jobs), valued).run()
    assert simulation.state.jobs == jobs


@pytest.mark.parametrize("seed", range(5))
def test_with_a_budget_of_jobs_times_change_no_decision(seed: int) -> None:
    steady = Simulation(request(jobs=30, recipes=RECIPES), valued, samples=True).run()
    draw = random.Random(seed)
    uneven = Simulation(
        request(jobs=30, recipes=RECIPES), valued, seconds=lambda trial, repeat: draw.expovariate(1.0), samples=True
    ).run()
    assert uneven.decisions == steady.decisions


def test_the_base_is_first_and_recipes_are_next() -> None:
    simulation = Simulation(request(jobs=20, recipes=RECIPES), valued).run()
    sources = [start.candidate.source for start in decided(simulation, Start)]
    assert sources[0] is Source.BASE
    assert sources[1:3] == [Source.RECIPE, Source.RECIPE]


def test_one_in_three_paused_trials_goes_on_the_best_ones() -> None:
    simulation = Simulation(request(jobs=40), valued).run()
    first_parts = {run.trial: run.value for run in simulation.state.runs if run.is_first_part}
    promoted = {decision.trial for decision in decided(simulation, Promote)}
    best = sorted(first_parts, key=lambda trial: first_parts[trial] or 0.0)[: len(first_parts) // 3]
    assert set(best) <= promoted
    assert len(promoted) < len(first_parts) / 2


def test_leaders_are_repeated_together_with_the_base() -> None:
    simulation = Simulation(request(jobs=30), valued).run()
    repeats = Counter((repeat.number, repeat.trial == BASE) for repeat in decided(simulation, Repeat))
    assert repeats == {(1, False): 3, (1, True): 1, (2, False): 2, (2, True): 1}
    assert sum(repeats.values()) + 1 == reserved_jobs(simulation.request), "and the average of the leader"


@pytest.mark.parametrize("budget", [{"jobs": 30}, {"minutes": 5.0, "keeps_epochs": True}])
def test_best_epochs_of_the_leader_are_averaged_in_the_finals(budget: dict[str, Any]) -> None:
    simulation = Simulation(request(**budget), valued, seconds=lambda trial, repeat: 0.02).run()
    (soup,) = [start.candidate for start in decided(simulation, Start) if start.candidate.source is Source.SOUP]
    leader = simulation.state.trials[(soup.of or 0) - 1]
    added = [step for step in soup.patch if step not in leader.candidate.patch]
    assert [step["path"] for step in added] == ["/regularization/average_best"]
    searched = [each for each in simulation.state.trials if each.candidate.source is not Source.SOUP]
    values = {run.trial: run.value for run in simulation.state.runs if not run.is_first_part and not run.repeat}
    assert leader.number == min(
        (each.number for each in searched[1:] if each.number in values), key=lambda n: values[n] or 9
    )


def test_cures_of_the_base_and_of_the_best_trial_are_tried() -> None:
    def cures(trial: int) -> tuple[Candidate, ...]:
        tried = {start.candidate.cure for start in decided(simulation, Start)}
        own = [f"{trial} cure {number}" for number in range(9)]
        return tuple(Candidate((), Source.CURE, "advised", trial, cure) for cure in own if cure not in tried)

    simulation = Simulation(request(jobs=40), valued, cures=cures)
    simulation.run()
    of = [start.candidate.of for start in decided(simulation, Start) if start.candidate.source is Source.CURE]
    assert of[:2] == [BASE, BASE]
    assert len(of) > 3


def test_a_fit_ends_within_its_minutes() -> None:
    simulation = Simulation(request(minutes=5.0), valued, seconds=lambda trial, repeat: 0.05).run()
    assert decided(simulation, BeginFinals)
    assert 60 < simulation.time < 330
    longer = [start for start in decided(simulation, Start) if start.candidate.source is Source.LONGER]
    assert len(longer) == 2
    assert all(start.candidate.patch[-2]["path"] == "/regularization/average_best" for start in longer)


@pytest.mark.parametrize("seconds", [0.03, 0.15, 0.5, 1.0])
def test_with_folds_a_leader_is_repeated_in_time(seconds: float) -> None:
    simulation = Simulation(
        request(minutes=5, folds=5, recipes=RECIPES),
        valued,
        lambda trial, repeat: seconds / (1 + (trial.number == BASE)),
    ).run()
    assert decided(simulation, BeginFinals)[0].finals.repeats >= 1
    assert any(run.repeat and run.trial != BASE and run.is_done for run in simulation.state.runs)
    assert simulation.time <= 60 * 5


def faster_when_repeated(trial: Trial, repeat: int) -> float:
    """Seconds of an epoch, for which the estimates of repeats are too high."""
    return (0.15 if repeat else 0.8) / (1 + (trial.number == BASE))


def test_the_best_leader_is_repeated_again_in_time_left() -> None:
    simulation = Simulation(request(minutes=5, folds=5, seeds=5, recipes=RECIPES), valued, faster_when_repeated).run()
    planned = decided(simulation, BeginFinals)[0].finals.repeats
    again = [run.trial for run in simulation.state.runs if run.repeat == planned + 1 and run.trial != BASE]
    assert again[0] == rivals(mean_values(simulation.state.runs, planned))[0]
    assert simulation.time <= 60 * 5


def small(minutes: float = 5, seconds: float = 0.5) -> Simulation:
    """A fit of a small set: without a proof, its best leader is repeated on all five folds."""
    given = request(minutes=minutes, folds=5, seeds=5, recipes=RECIPES)
    return Simulation(given, valued, lambda trial, repeat: seconds / (1 + (trial.number == BASE))).run()


def test_without_a_proof_all_folds_come_before_refined_leaders() -> None:
    simulation = small()
    finals = decided(simulation, BeginFinals)[0].finals
    assert (finals.repeats, finals.refined) == (4, 0)
    short = replace(simulation.state, left=100.0, finals=None, has_proof=True)
    assert planned_finals(short).refined


def test_repeats_of_one_leader_are_trained_side_by_side() -> None:
    later = [each for each in decided(small(), Repeat) if each.number > 1]
    assert [(each.number, each.trial == BASE) for each in later] == [
        (n, is_base) for n in (2, 3, 4) for is_base in (True, False)
    ]
    assert len({each.trial for each in later}) == 2


def test_the_best_by_its_first_training_has_all_folds() -> None:
    simulation = small(seconds=0.1)
    runs = simulation.state.runs
    first, by_mean = rivals(whole_values(runs))[0], rivals(mean_values(runs, 1))[0]
    assert {run.repeat for run in runs if run.trial == first and run.is_done} == {0, 1, 2, 3, 4}
    assert by_mean != first
    assert (by_mean, 2) in {(run.trial, run.repeat) for run in runs}, "others are repeated by their means"


def test_finals_have_no_more_leaders_than_have_results() -> None:
    simulation = small(seconds=1.0)
    assert decided(simulation, BeginFinals)[0].finals.leaders == 1
    assert simulation.time <= 60 * 5


def test_more_leaders_are_repeated_in_time_left() -> None:
    simulation = Simulation(request(minutes=5, folds=5, seeds=2, recipes=RECIPES), valued, faster_when_repeated).run()
    planned = decided(simulation, BeginFinals)[0].finals.leaders
    repeated = {run.trial for run in simulation.state.runs if run.repeat and run.is_done} - {BASE}
    assert len(repeated) > planned
    assert repeated == set(rivals(whole_values(simulation.state.runs))[: len(repeated)])
    assert simulation.time <= 60 * 5


def test_the_base_is_repeated_while_a_leader_is_refined() -> None:
    state = Simulation(request(jobs=12, folds=5, recipes=RECIPES), valued).run().state
    soup = next(trial.number for trial in state.trials if trial.candidate.source is Source.SOUP)
    place = next(n for n, run in enumerate(state.runs) if run.trial == soup)
    trains = replace(state.runs[place], is_done=False, value=None)
    state = replace(state, runs=(*state.runs[:place], trains))
    assert state.finals
    decision = next_final(state, state.finals)
    assert isinstance(decision, Repeat)
    assert (decision.trial, decision.number) == (BASE, 1)


@pytest.mark.parametrize(("minutes", "epochs"), [(1.0, 30), (4.0, 56), (20.0, 60), (40.0, 112), (90.0, 150)])
def test_trials_are_as_long_as_the_minutes_can_pay_for(minutes: float, epochs: int) -> None:
    simulation = Simulation(request(minutes=minutes), valued, seconds=lambda trial, repeat: 0.4).run()
    assert simulation.state.length == Length(epochs, pauses=True)


def test_trials_without_a_result_are_left_behind() -> None:
    def failing(trial: Trial, repeat: int, is_first_part: bool) -> float | None:
        return None if trial.number % 2 == 0 else valued(trial, repeat, is_first_part)

    simulation = Simulation(request(jobs=30), failing).run()
    kept_on = {decision.trial for decision in simulation.decisions if isinstance(decision, Promote | Repeat)}
    assert all(trial % 2 for trial in kept_on)


def test_the_sampler_finds_better_values_than_chance() -> None:
    simulation = Simulation(request(jobs=60), valued, samples=True).run()
    rates = [start.candidate.patch[0]["value"] for start in decided(simulation, Start)[1:]]
    distance = [abs(math.log10(rate) + 2) for rate in rates]
    assert sum(distance[20:]) / len(distance[20:]) < 0.6 * 0.83  # 0.83 is the mean of even draws from 1e-4 to 1e-1


def test_short_trials_do_not_pause() -> None:
    simulation = Simulation(request(minutes=2.0), valued, seconds=lambda trial, repeat: 0.001).run()
    assert not decided(simulation, Promote)
    assert not any(run.is_first_part for run in simulation.state.runs)


def test_with_a_proof_leaders_are_refined_not_repeated() -> None:
    state = Simulation(request(minutes=5, folds=5, recipes=RECIPES), valued, lambda trial, repeat: 0.8).run().state
    short = replace(state, left=100.0, finals=None)
    assert (planned_finals(short).refined, planned_finals(short).repeats) == (0, 1)
    proved = planned_finals(replace(short, has_proof=True))
    assert (proved.refined, proved.times, proved.repeats) == (2, 2.0, 0)


MIRRORING = {"op": "replace", "path": "/augmentation/horizontal_flip", "value": True}
FREEZING = {"op": "replace", "path": "/model", "value": {"arch": "resnet18", "freeze": "backbone"}}


@pytest.mark.parametrize(("patch", "is_averaged"), [([], False), ([MIRRORING], True), ([MIRRORING, FREEZING], False)])
def test_refined_leaders_are_scored_on_mirrored_images_too(patch: list[Any], is_averaged: bool) -> None:
    state = FitState(
        request(jobs=12),
        trials=(Trial(BASE, THE_BASE, 100), Trial(2, Candidate(tuple(patch), Source.RECIPE, "good"), 100)),
        runs=tuple(Run(number, 0, is_first_part=False, is_done=True, value=1 / number) for number in (BASE, 2)),
    )
    start = next_final(state, Finals(leaders=1, repeats=1, refined=1))
    assert isinstance(start, Start)
    options = {step["path"]: step["value"] for step in start.candidate.patch}
    assert options["/regularization/average_best"]
    assert (options.get("/test_time_augmentation") == "mirror") is is_averaged


def test_finals_of_some_minutes_begin_beside_runs_in_flight() -> None:
    simulation = Simulation(request(minutes=5, recipes=RECIPES), valued, lambda trial, repeat: 0.8).run()
    begin = next(place for place, each in enumerate(simulation.decisions) if isinstance(each, BeginFinals))
    assert isinstance(simulation.decisions[begin - 1], Promote), "it goes on beside the first refined leader"
