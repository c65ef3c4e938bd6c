"""The rule on classes: a model can score well and ignore the rare ones."""

import math

from service.core.diagnosis.verdicts import Evidence, Finding, Verdict, clarity
from service.core.diagnosis.view import RunView
from service.core.records.facts import ClassRecall, RareClasses


def rare_ignored(view: RunView) -> Finding | None:
    """The best model is right on rare classes less often than on the others, beyond chance."""
    rare, rules = view.facts.rare if view.facts else None, view.rules
    if rare is None:
        return None
    recall, other = rare.right / rare.images, rare.other_right / rare.other_images
    errors = standard_errors(rare)
    if other - recall < rules.rare_recall or errors < rules.rare_errors:
        return None
    evidence = (
        Evidence("rare_recall", recall, other - rules.rare_recall, "share of right guesses on rare classes"),
        Evidence("other_recall", other, None, "share of right guesses on the other classes"),
        Evidence("rare_errors", errors, rules.rare_errors, "their difference, in standard errors"),
        *(Evidence("class_recall", each.right / each.images, None, _of(each)) for each in rare.classes),
    )
    clear = clarity((other - recall) / rules.rare_recall, errors / rules.rare_errors)
    return Finding(Verdict.RARE_CLASSES_IGNORED, clear, None, evidence)


def standard_errors(rare: RareClasses) -> float:
    """The z of the test of two proportions: their difference in standard errors of equal ones."""
    shared = (rare.right + rare.other_right) / (rare.images + rare.other_images)
    error = math.sqrt(shared * (1 - shared) * (1 / rare.images + 1 / rare.other_images))
    difference = rare.other_right / rare.other_images - rare.right / rare.images
    return difference / error if error else 0.0


def _of(each: ClassRecall) -> str:
    return f"of {each.label}: {each.right} of {each.images} validation images, with {each.train} training images"
