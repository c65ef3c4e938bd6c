"""Studies of Optuna over the trials of a fit. Imported where one is needed: Optuna takes a second to import.

The cost of a draw grows little with the number of trials: Optuna's records of trials are kept, a study reads them
without copies. It gets the space as an argument, so that it need not infer it from all trials.
"""

import json
import warnings
from collections.abc import Container, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, TPESampler
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from service.core.experiments.fits.sampler import from_text, to_text
from service.core.experiments.fits.state import whole_values
from service.core.records.fit import Run
from service.core.records.fit_request import Range, Space

MOST_KEPT = 5000  # records of trials that are kept in memory, some kB each

Values = Mapping[int, Mapping[str, Any]]  # by the number of the trial, its value of each option


class _Results(InMemoryStorage):
    """A storage whose trials are given."""

    def __init__(self, results: Sequence[FrozenTrial]) -> None:
        super().__init__()
        self._results = results

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        return [trial for trial in self._results if states is None or trial.state in states]


class _Sampler(TPESampler):
    """A sampler of a known space."""

    def __init__(self, space: Mapping[str, BaseDistribution], seed: int, starting: int) -> None:
        super().__init__(seed=seed, multivariate=True, constant_liar=True, n_startup_trials=starting)
        self._space = {name: values for name, values in sorted(space.items()) if not values.single()}

    def infer_relative_search_space(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
    ) -> dict[str, BaseDistribution]:
        return self._space


def drawn(space: Space, tried: Values, runs: Sequence[Run], seed: int, starting: int) -> dict[str, Any]:
    """New values of all options, choices as JSON text; at random with fewer than `starting` results."""
    known = _distributions(to_text(space))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        sampler = _Sampler(known, seed, starting)
    study = study_of(space, tried, runs, sampler)
    values = study.ask().relative_params or study.ask(fixed_distributions=dict(known)).params
    only = {name: _only(allowed) for name, allowed in known.items() if allowed.single()}
    return {**values, **only}


def study_of(space: Space, tried: Values, runs: Sequence[Run], sampler: BaseSampler | None = None) -> optuna.Study:
    """A study with the results of these trials."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna.create_study(storage=_Results(list(_results(space, tried, runs))), sampler=sampler)


def _results(space: Space, tried: Values, runs: Sequence[Run]) -> Iterator[FrozenTrial]:
    """Optuna's records of the trials that have not failed."""
    whole, text = whole_values(runs), to_text(space)
    paused = {run.trial: run.value for run in runs if run.is_first_part and run.value is not None}
    failed = {run.trial for run in runs if run.is_done and run.value is None}
    for number, values in tried.items():
        if number not in failed:
            yield _result(number, json.dumps(values), text, whole.get(number), paused.get(number))


@lru_cache(MOST_KEPT)
def _result(number: int, values: str, space: str, whole: float | None, paused: float | None) -> FrozenTrial:
    """The record of a trial: of its whole training, of its first part, or of one that is under way.

    Numbers count from 1; the trial that is asked for has 0.
    """
    shared: dict[str, Any] = {"params": json.loads(values), "distributions": dict(_distributions(space))}
    if whole is not None:
        trial = create_trial(state=TrialState.COMPLETE, value=whole, **shared)
    elif paused is not None:
        trial = create_trial(state=TrialState.PRUNED, intermediate_values={1: paused}, **shared)
    else:
        trial = create_trial(state=TrialState.RUNNING, **shared)
    trial.number = number
    return trial


@lru_cache
def _distributions(space: str) -> Mapping[str, BaseDistribution]:
    """The distribution of each option. Choices are written as JSON, because Optuna's are plain values."""
    return {path: _distribution(values) for path, values in from_text(space).items()}


def _distribution(values: Range) -> BaseDistribution:
    if values.choices:
        return CategoricalDistribution([json.dumps(choice) for choice in values.choices])
    if values.is_whole:
        return IntDistribution(int(values.low), int(values.high), log=values.log)
    return FloatDistribution(values.low, values.high, log=values.log)


def _only(allowed: BaseDistribution) -> Any:
    """The value of a distribution that has no other."""
    return allowed.choices[0] if isinstance(allowed, CategoricalDistribution) else vars(allowed)["low"]
