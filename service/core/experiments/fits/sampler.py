"""New changes from the results so far: Optuna's tree-structured Parzen estimator, without a store of its own.

Bergstra et al., "Algorithms for Hyper-Parameter Optimization" (NeurIPS 2011); Watanabe, "Tree-Structured Parzen
Estimator: Understanding Its Algorithm Components" (2023).
"""

import json
import random
from collections.abc import Mapping, Sequence
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
MOST_KEPT = 5000  # values of trials that are kept in memory, a kB each


def sample(spec: JobSpec, space: Space, trials: Sequence[Trial], runs: Sequence[Run], seed: int) -> Operations:
    """A patch of the base `spec` with a value for each option of the space.

    Once a trial has a result, an option keeps the value of the best trial with the probability KEPT: a budget of some
    dozen trials is too small to learn each option from nothing, and changes of a good trial are better on average. The
    same trials, runs and seed have the same answer. Runs that are not done are known to be under way.
    """
    from service.core.experiments.fits.study import drawn  # noqa: PLC0415 - see there

    tried = values_by_trial(spec, space, trials)
    params = drawn(space, tried, runs, seed, min(STARTING, len(trials)))
    best = next((tried[number] for number in ranked(whole_values(runs)) if number in tried), None)
    draw = random.Random(seed)  # noqa: S311 - chooses options
    for _ in range(MOST_DRAWS):
        values = {path: best[path] if best and draw.random() < KEPT else params[path] for path in space}
        if values not in tried.values():
            break
    return [{"op": "replace", "path": path, "value": _value(space[path], values[path])} for path in space]


def values_by_trial(spec: JobSpec, space: Space, trials: Sequence[Trial]) -> dict[int, dict[str, Any]]:
    """By number, the value of each option of the space in a trial's spec, of the trials that are in the space."""
    base, text = json.dumps(plain(spec)), to_text(space)
    found = {trial.number: _values_after(base, json.dumps(trial.candidate.patch), text) for trial in trials}
    return {number: dict(values) for number, values in found.items() if values is not None}


@lru_cache(MOST_KEPT)
def _values_after(base: str, patch: str, space: str) -> Mapping[str, Any] | None:
    """The values in a spec after a patch, all as JSON text: each draw needs those of all trials again."""
    return _values(patched(json.loads(base), json.loads(patch)), from_text(space))


def to_text(space: Space) -> str:
    """The space as JSON text, by which what follows from it is kept."""
    return json.dumps({path: values.to_dict() for path, values in space.items()})


@lru_cache
def from_text(text: str) -> Space:
    """From `to_text`."""
    return {path: Range.from_dict(values) for path, values in json.loads(text).items()}


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
