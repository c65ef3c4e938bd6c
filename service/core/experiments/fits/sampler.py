"""New changes from the results so far: Optuna's tree-structured Parzen estimator, without a store of its own.

Bergstra et al., "Algorithms for Hyper-Parameter Optimization" (NeurIPS 2011); Watanabe, "Tree-Structured Parzen
Estimator: Understanding Its Algorithm Components" (2023).
"""

import json
import random
import warnings
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from jsonpointer import JsonPointerException, resolve_pointer

from service.core.experiments.fits.state import ranked, whole_values
from service.core.records.fit import Run, Trial
from service.core.records.fit_request import Range, Space
from service.core.spec import JobSpec
from service.core.spec.patch import Operations, patched, plain

STARTING = 8  # trials from which on the results are used
KEPT = 0.6
MOST_DRAWS = 10  # for a combination that was not tried
MOST_PATCHED = 2000  # specs of trials that are kept in memory, some kB each


def sample(spec: JobSpec, space: Space, trials: Sequence[Trial], runs: Sequence[Run], seed: int) -> Operations:
    """A patch of the base `spec` with a value for each option of the space.

    Once a trial has a result, an option keeps the value of the best trial with the probability KEPT: a budget of some
    dozen trials is too small to learn each option from nothing, and changes of a good trial are better on average. The
    same trials, runs and seed have the same answer. Runs that are not done are known to be under way.
    """
    optuna = quiet_optuna()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.TPESampler(
            seed=seed, multivariate=True, constant_liar=True, n_startup_trials=min(STARTING, len(trials))
        )
    study = optuna.create_study(sampler=sampler)
    tried = _values_by_trial(spec, space, trials)
    study.add_trials(_results(space, tried, runs))
    params = study.ask(fixed_distributions=distributions(space)).params
    best = next((tried[number] for number in ranked(whole_values(runs)) if number in tried), None)
    draw = random.Random(seed)  # noqa: S311 - chooses options
    for _ in range(MOST_DRAWS):
        values = {path: best[path] if best and draw.random() < KEPT else params[path] for path in space}
        if values not in tried.values():
            break
    return [{"op": "replace", "path": path, "value": _value(space[path], values[path])} for path in space]


def quiet_optuna() -> Any:
    """Optuna, which logs errors alone. Its import takes a second, which only a fit needs."""
    import optuna  # noqa: PLC0415

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def distributions(space: Space) -> dict[str, Any]:
    """Optuna's distribution of each option. Choices are written as JSON, because Optuna's are plain values."""
    from optuna.distributions import (  # noqa: PLC0415 - see quiet_optuna
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    def of(values: Range) -> Any:
        if values.choices:
            return CategoricalDistribution([json.dumps(choice) for choice in values.choices])
        if values.is_whole:
            return IntDistribution(int(values.low), int(values.high), log=values.log)
        return FloatDistribution(values.low, values.high, log=values.log)

    return {path: of(values) for path, values in space.items()}


def study_of(spec: JobSpec, space: Space, trials: Sequence[Trial], runs: Sequence[Run]) -> Any:
    """A study of Optuna that has the trials with their results."""
    study = quiet_optuna().create_study()
    study.add_trials(_results(space, _values_by_trial(spec, space, trials), runs))
    return study


def _results(space: Space, tried: Mapping[int, Mapping[str, Any]], runs: Sequence[Run]) -> Iterator[Any]:
    """Optuna's record of each trial whose values are all in the space, and which has not failed."""
    from optuna.trial import TrialState, create_trial  # noqa: PLC0415 - see quiet_optuna

    whole, known = whole_values(runs), distributions(space)
    paused = {run.trial: run.value for run in runs if run.is_first_part and run.value is not None}
    failed = {run.trial for run in runs if run.is_done and run.value is None}
    for number, params in tried.items():
        shared: dict[str, Any] = {"params": params, "distributions": known}
        if number in failed:
            continue
        if number in whole:
            yield create_trial(state=TrialState.COMPLETE, value=whole[number], **shared)
        elif number in paused:
            yield create_trial(state=TrialState.PRUNED, intermediate_values={1: paused[number]}, **shared)
        else:
            yield create_trial(state=TrialState.RUNNING, **shared)


def _values_by_trial(spec: JobSpec, space: Space, trials: Sequence[Trial]) -> dict[int, dict[str, Any]]:
    """By number, the value of each option of the space in a trial's spec, of the trials that are in the space."""
    base = json.dumps(plain(spec))
    specs = {trial.number: _patched(base, json.dumps(trial.candidate.patch)) for trial in trials}
    found = {number: _values(data, space) for number, data in specs.items()}
    return {number: values for number, values in found.items() if values is not None}


@lru_cache(MOST_PATCHED)
def _patched(base: str, patch: str) -> Any:
    """A spec after a patch, both as JSON text: each sample needs those of all trials again."""
    return patched(json.loads(base), json.loads(patch))


def _values(data: Any, space: Space) -> dict[str, Any] | None:
    """The value of each option of the space in a spec as plain data, None if one is not in the space."""
    values: dict[str, Any] = {}
    for path, allowed in space.items():
        try:
            value = resolve_pointer(data, path)
        except JsonPointerException:
            return None
        if allowed.choices:
            if value not in allowed.choices:
                return None
            values[path] = json.dumps(allowed.choices[allowed.choices.index(value)])
        elif not isinstance(value, int | float) or not allowed.low <= value <= allowed.high:
            return None
        else:
            values[path] = value
    return values


def _value(allowed: Range, drawn: Any) -> Any:
    """The drawn value as plain JSON data."""
    if allowed.choices:
        return json.loads(drawn)
    return int(drawn) if allowed.is_whole else float(f"{drawn:.4g}")
