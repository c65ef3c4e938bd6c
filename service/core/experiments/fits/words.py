"""What a fit has found, in a few sentences."""

from collections.abc import Mapping
from typing import Any

from service.core.records.fit import BASE, Fit
from service.core.spec.parts import LOSSES


def summary(fit: Fit) -> str:
    """The result of an ended fit, or what a running one does."""
    result = fit.result
    if result is None:
        trials = len({step.trial for step in fit.steps if step.trial})
        return f"{trials} trial{'s' if trials > 1 else ''} so far."
    if error := result.get("error"):
        return f"There is no model: {error['detail']}."
    parts = [_kept(fit, result)]
    if test := result.get("test"):
        low, high = test["accuracy_interval"]
        parts.append(
            f"On {test['images']:,} test images, which chose nothing, it has a loss of {test['loss']:.4g} nats and an "
            f"accuracy of {test['accuracy']:.1%} ({low:.1%} to {high:.1%})."
        )
    return " ".join(parts)


def _kept(fit: Fit, result: Mapping[str, Any]) -> str:
    gain, best = result["gain"], result["best"]
    if gain is None:
        return "The base is kept: no trial has a result on the same images."
    low, high = gain["interval"]
    unit = "nats" if fit.request.objective in LOSSES else "of the guesses wrong"
    between = f"by {-high:.4g} to {-low:.4g} {unit}"
    looks = f"{gain['looks']} trial{'s' if gain['looks'] > 1 else ''}"
    if best["trial"] != BASE:
        return (
            f"Trial {best['trial']} is kept. On {gain['images']:,} validation images it is better than the base "
            f"{between}, with {looks} accounted for."
        )
    if not gain["beats_guessing"]:
        return f"The base is kept. None of {looks} is better than guessing by the shares of the classes."
    return (
        f"The base is kept. The best of {looks} is not better beyond noise: its difference is {low:.4g} to {high:.4g} "
        f"{unit} on {gain['images']:,} validation images."
    )
