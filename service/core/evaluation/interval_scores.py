"""Loss and accuracy over images, with their intervals."""

from typing import Any

from service.core.evaluation.intervals import mean_interval, wilson
from service.core.evaluation.outcomes import Outcomes


def interval_scores(scored: Outcomes) -> dict[str, Any]:
    """The mean loss (nats) and the accuracy (a share) of at least two images, with 95 % intervals, as JSON."""
    return {
        "images": len(scored),
        "loss": float(scored.loss.mean()),
        "loss_interval": list(mean_interval(scored.loss)),
        "accuracy": float(scored.is_right.mean()),
        "accuracy_interval": list(wilson(int(scored.is_right.sum()), len(scored))),
    }
