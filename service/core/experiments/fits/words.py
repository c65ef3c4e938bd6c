"""What a fit has found, in a few sentences."""

from collections.abc import Mapping
from typing import Any

from service.core.records.fit import BASE, Fit
from service.core.spec.parts import LOSSES
from service.core.text import counted


def summary(fit: Fit) -> str:
    """The result of an ended fit, or what a running one does."""
    result = fit.result
    if result is None:
        trials = len({step.trial for step in fit.steps if step.trial})
        return f"{counted(trials, 'trial')} so far."
    if error := result.get("error"):
        return f"There is no model: {error['detail']}."
    parts = [_kept(fit, result)]
    if test := result.get("test"):
        low, high = test["accuracy_interval"]
        parts.append(
            f"On {test['images']:,} test images, which were used for no choice, it has a loss of {test['loss']:.4g} "
            "nats and an "
            f"accuracy of {test['accuracy']:.1%} ({low:.1%} to {high:.1%})."
        )
    return " ".join(parts)


def _kept(fit: Fit, result: Mapping[str, Any]) -> str:
    gain, best = result["gain"], result["best"]
    if gain is None:
        return "The base is kept: no trial has a result on the same images."
    low, high = gain["interval"]
    unit = "nats" if fit.request.objective in LOSSES else "of the predictions wrong"
    between = f"by {-high:.4g} to {-low:.4g} {unit}"
    images = f"{gain['images']:,} validation images"
    if best["trial"] != BASE:
        return (
            f"Trial {best['trial']} is kept. On {images} it is better than the base {between}. The probability of "
            "keeping a trial that is not better is at most 5 %."
        )
    if not gain["beats_guessing"]:
        return f"The base is kept. Trial {gain['trial']} is not better than guessing by the shares of the classes."
    return (
        f"The base is kept. Trial {gain['trial']} is not proved to be better: its difference is {low:.4g} to "
        f"{high:.4g} {unit} on {images}."
    )
