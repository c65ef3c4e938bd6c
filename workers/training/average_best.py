"""The average of the best epochs: a greedy soup.

Wortsman et al., "Model soups: averaging weights of multiple fine-tuned models improves accuracy without increasing
inference time" (2022).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from service.core.records.facts import AVERAGE_SCORES, Average
from service.core.spec import JobSpec
from service.core.spec.early_stopping import Stopper
from workers.training.checkpoint import Weights
from workers.training.evaluate import Scorer
from workers.training.loop import TrainingResult
from workers.training.measuring import scores_of


def average_best(
    model: nn.Module, fitted: TrainingResult, spec: JobSpec, validation: Scorer, classes: int
) -> tuple[TrainingResult, Average]:
    """The result with the average as its best weights, if one scores better than the best epoch; and what was tried.

    Begins with the best epoch. The other candidates follow in the order of their values: each joins the average if the
    measure that early stopping monitors then gets better. Running statistics are averaged as weights are. The model
    gets other weights. It has at least one candidate.
    """
    stopper = Stopper(spec.early_stopping)
    sign = 1 if stopper.mode == "min" else -1
    first, *others = fitted.candidates
    chosen, lowest = [first], sign * first.value
    kept, scores = fitted, {name: getattr(fitted.history[first.epoch - 1], name) for name in AVERAGE_SCORES}
    for candidate in others:
        weights = mean_of([one.weights for one in (*chosen, candidate)])
        model.load_state_dict(weights)
        logits = validation.logits(model)
        found = scores_of(validation, logits, classes)
        if math.isfinite(found["val_loss"]) and sign * found[stopper.monitor] < lowest:
            chosen, lowest = [*chosen, candidate], sign * found[stopper.monitor]
            kept, scores = replace(fitted, best_weights=weights, best_logits=logits), found
    epochs = tuple(one.epoch for one in chosen)
    return kept, Average(tuple(one.epoch for one in fitted.candidates), epochs, **_finite(scores))


def mean_of(parts: Sequence[Weights]) -> Weights:
    """The mean of each floating-point tensor, in float64 and then in its own type; of others (counts) the first."""
    return {name: _mean([part[name] for part in parts]) for name in parts[0]}


def _mean(values: Sequence[Tensor]) -> Tensor:
    first = values[0]
    return (
        torch.stack(list(values)).mean(0, dtype=torch.float64).to(first.dtype) if first.is_floating_point() else first
    )


def _finite(scores: Mapping[str, float | None]) -> dict[str, Any]:
    return {name: None if value is None or not math.isfinite(value) else value for name, value in scores.items()}
