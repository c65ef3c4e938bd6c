"""The rule on classes: a model can score well and ignore the rare ones.

Fisher, "On the interpretation of chi-squared from contingency tables, and the calculation of P" (1922): his exact test
also holds for a handful of images, where the normal approximation takes a single mistake for a rule.
"""

import math
from statistics import NormalDist

from service.core.diagnosis.verdicts import Evidence, Finding, Verdict, clarity
from service.core.diagnosis.view import RunView
from service.core.records.facts import ClassRecall, RareClasses
from service.core.text import counted

LEAST_P = 1e-300  # smaller p-values count as this one: a normal quantile needs more than 0
NEGLIGIBLE = 1e-17  # share of a sum that does not change it


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
        Evidence("rare_recall", recall, other - rules.rare_recall, "share of correct predictions on rare classes"),
        Evidence("other_recall", other, None, "share of correct predictions on the other classes"),
        Evidence("rare_errors", errors, rules.rare_errors, "their difference, in standard errors (exact test)"),
        *(Evidence("class_recall", each.right / each.images, None, _of(each)) for each in rare.classes),
    )
    clear = clarity((other - recall) / rules.rare_recall, errors / rules.rare_errors)
    return Finding(Verdict.RARE_CLASSES_IGNORED, clear, None, evidence)


def standard_errors(rare: RareClasses) -> float:
    """The p-value of `exact_p_value` as a number of standard errors, 0 or more: 2.0 for 0.023."""
    return max(0.0, -NormalDist().inv_cdf(min(max(exact_p_value(rare), LEAST_P), 0.5)))


def exact_p_value(rare: RareClasses) -> float:
    """How probable at most these right guesses on rare classes are if both recalls are equal (Fisher's test)."""
    right, wrong = rare.right + rare.other_right, rare.images + rare.other_images - rare.right - rare.other_right
    chosen = _log_ways(right, rare.right) + _log_ways(wrong, rare.images - rare.right)
    term = total = math.exp(chosen - _log_ways(right + wrong, rare.images))
    for fewer in range(rare.right, 0, -1):  # right guesses; each term follows from the one before
        term *= fewer * (wrong - rare.images + fewer) / ((right - fewer + 1) * (rare.images - fewer + 1))
        total += term
        if term <= total * NEGLIGIBLE:
            break
    return min(1.0, total)


def _log_ways(things: int, chosen: int) -> float:
    return math.lgamma(things + 1) - math.lgamma(chosen + 1) - math.lgamma(things - chosen + 1)


def _of(each: ClassRecall) -> str:
    validation, training = counted(each.images, "validation image"), counted(each.train, "training image")
    return f"of {each.label}: {each.right} of {validation}, with {training}"
