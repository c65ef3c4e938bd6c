"""An ensemble of the leaders of a fit: the mean of their probabilities. Its members are chosen greedily.

Caruana et al., "Ensemble Selection from Libraries of Models" (ICML 2004); here a model is a member at most once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from service.core.evaluation.by_image import by_image
from service.core.evaluation.interval_scores import interval_scores
from service.core.evaluation.outcomes import Outcomes, outcomes
from service.core.evaluation.predictions import TEST, VALIDATION, Predictions
from service.core.evaluation.softmax import softmax

LEADERS = 8  # that may become members
LEAST_PROBABILITY = 1e-30  # of which a logarithm is taken


@dataclass(frozen=True)
class Member:
    """A model: its trial and job, the temperature that divides its logits, and its predictions."""

    trial: int
    job: str
    temperature: float
    predictions: Predictions


def ensemble(leaders: Sequence[Member]) -> Mapping[str, Any] | None:
    """The ensemble as JSON, None if no leader improves on the first one, which is the kept model.

    Members are added in the order in which they lower the validation loss most, as long as they do. So its validation
    loss is flattering; the test images chose nothing.
    """
    first, *others = leaders
    own = first.predictions.of(VALIDATION)
    usable = [each for each in others if np.array_equal(each.predictions.of(VALIDATION).index, own.index)]
    members = [first]
    while usable:
        best = min(usable, key=lambda each: _loss([*members, each]))
        if _loss([*members, best]) >= _loss(members):
            break
        members.append(best)
        usable.remove(best)
    if len(members) == 1:
        return None
    return {
        "members": [{"trial": each.trial, "job": each.job, "temperature": each.temperature} for each in members],
        "validation": _scores(members, VALIDATION),
        "test": _scores(members, TEST),
    }


def _loss(members: Sequence[Member]) -> float:
    return float(_outcomes(members, VALIDATION).loss.mean())


def _scores(members: Sequence[Member], part: int) -> Mapping[str, Any] | None:
    """The scores of the ensemble on a part, and its loss minus that of the kept model; None without images that all
    members have.
    """
    if not all(
        np.array_equal(each.predictions.of(part).index, members[0].predictions.of(part).index) for each in members
    ):
        return None
    scored = _outcomes(members, part)
    if len(scored) < 2:  # noqa: PLR2004 - an interval needs two images
        return None
    against = by_image([(_outcomes(members[:1], part), scored)])
    return {
        **interval_scores(scored),
        "against_best": asdict(against) if against else None,
    }


def _outcomes(members: Sequence[Member], part: int) -> Outcomes:
    """The outcomes of the mean probabilities: their logarithms are logits."""
    own = members[0].predictions.of(part)
    sharpened = (each.predictions.of(part).logits.astype(np.float64) / each.temperature for each in members)
    mean = np.mean([softmax(logits) for logits in sharpened], axis=0)
    logits = np.log(np.maximum(mean, LEAST_PROBABILITY)).astype(np.float32)
    return outcomes(Predictions(own.part, own.index, own.label, logits))
