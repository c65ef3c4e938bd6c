"""Rules on the validation images: too few of them, or known from training."""

import math

from service.core.diagnosis.verdicts import Evidence, Finding, Verdict, clarity
from service.core.diagnosis.view import RunView


def leakage(view: RunView) -> Finding | None:
    """Validation images with copies among the training images, or easier than the training images."""
    curve, rules, facts = view.curve, view.rules, view.facts
    if facts and facts.images.get("validation"):
        copied = facts.copies_across / facts.images["validation"]
        if copied >= rules.copies:
            meaning = "share of the validation images that have a copy among the training images"
            evidence = (Evidence("copies_across", copied, rules.copies, meaning),)
            return Finding(Verdict.SUSPECTED_LEAKAGE, clarity(copied / rules.copies), None, evidence)
    if not (curve.is_clean and curve.has_val and curve.val_se):
        return None
    below = -view.gap / math.hypot(math.sqrt(2) * curve.val_se, curve.jumps)  # as many training images are scored
    if below < rules.easier or -view.gap < max(rules.notable * curve.level(curve.fit), rules.worth * view.guess):
        return None
    meaning = "standard errors by which validation loss is below training loss, both scored without augmentation"
    evidence = (Evidence("validation_easier", below, rules.easier, meaning),)
    return Finding(Verdict.SUSPECTED_LEAKAGE, clarity(below / rules.easier), None, evidence)


def small(view: RunView) -> Finding | None:
    images, few = view.validation_images, view.rules.few_images
    if not images or images >= few:
        return None
    evidence = [Evidence("validation_images", images, few, "with fewer images, the measures are noisy")]
    if view.curve.val_se is not None:
        evidence.append(Evidence("val_loss_se", view.curve.val_se, None, "standard error of validation loss, nats"))
    return Finding(Verdict.SMALL_VALIDATION, clarity(few / images), None, tuple(evidence))
