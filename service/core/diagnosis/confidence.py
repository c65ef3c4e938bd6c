"""The probability that a verdict is right, from how far its measures are beyond their thresholds.

Isotonic regression (Zadrozny and Elkan, "Transforming Classifier Scores into Accurate Multiclass Probability
Estimates", 2002) on labelled runs; of those that were held out, tests/golden compares both.
"""

from collections.abc import Mapping

from service.core.diagnosis.verdicts import Finding, Verdict

EDGES = (0.6, 0.7, 0.8, 0.9)  # of the clarity of a finding
RARE = 5  # epochs
AT_ONCE = (
    Verdict.TOO_SHORT_TO_TELL,
    Verdict.DIVERGED,
    Verdict.SUSPECTED_LEAKAGE,
    Verdict.SMALL_VALIDATION,
    Verdict.RARE_CLASSES_IGNORED,
)
# The share of right verdicts below the first edge, from there to the next, and so on.
RIGHT: Mapping[Verdict, tuple[float, ...]] = {
    Verdict.HEALTHY: (0.99, 0.99, 0.99, 0.99, 0.99),
    Verdict.OVERFITTING: (0.91, 0.99, 0.99, 0.99, 0.99),
    Verdict.STAGNANT_GENERALIZATION: (0.91, 0.95, 0.95, 0.95, 0.95),
    Verdict.OVERCONFIDENT: (0.96, 0.96, 0.97, 0.97, 0.97),
    Verdict.UNDERFITTING: (0.81, 0.81, 0.88, 0.88, 0.88),
    Verdict.NOT_LEARNING: (0.97, 0.99, 0.99, 0.99, 0.99),
    Verdict.STILL_IMPROVING: (0.77, 0.93, 0.93, 0.96, 0.96),
    Verdict.DIVERGED: (0.75, 0.97, 0.98, 0.98, 0.98),
    Verdict.UNSTABLE: (0.93, 0.93, 0.93, 0.93, 0.93),
    Verdict.NOISY_VALIDATION: (0.92, 0.99, 0.99, 0.99, 0.99),
    Verdict.SMALL_VALIDATION: (0.98, 0.98, 0.98, 0.98, 0.98),
    Verdict.TRAIN_ABOVE_VALIDATION: (0.88, 0.88, 0.91, 0.94, 0.95),
    Verdict.SUSPECTED_LEAKAGE: (0.94, 0.94, 0.94, 0.94, 0.94),
    Verdict.RARE_CLASSES_IGNORED: (0.97, 0.97, 0.97, 0.97, 0.97),  # by its test: 2 standard errors or more
    Verdict.TOO_SHORT_TO_TELL: (0.99, 0.99, 0.99, 0.99, 0.99),
}


def probability(finding: Finding, epochs: int) -> float:
    """Of how many findings of the same verdict and clarity, as a share, the verdict is right.

    Verdicts on fewer than RARE epochs are too rare to be measured. They get less: a share of n / (n + 1) for n epochs.
    """
    right = RIGHT[finding.verdict][sum(finding.clarity >= edge for edge in EDGES)]
    is_measured = epochs >= RARE or finding.verdict in AT_ONCE
    return right if is_measured else round(right * epochs / (epochs + 1), 2)
