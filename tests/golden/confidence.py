"""How often a verdict is right, by how clear it is: `python -m tests.golden.confidence` prints the numbers for
service/core/diagnosis/confidence.py, from all labelled runs of odd seeds.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from sklearn.isotonic import IsotonicRegression

from service.core.diagnosis import Rules, Verdict, diagnose
from service.core.diagnosis.confidence import EDGES
from service.core.diagnosis.findings import findings
from service.core.diagnosis.view import RunView
from tests.golden.drawn import drawn
from tests.golden.scoring import Golden, load

PRIOR = 6.0  # runs' worth of the share of all runs of a verdict, and of all verdicts for a verdict
SUREST = 0.99  # nothing is certain
BINS = 10  # of the expected calibration error


def clarity(run: Golden) -> tuple[Verdict, float, bool]:
    """The verdict of a run, how clear it is by its thresholds, and whether its label accepts it."""
    view = RunView(run.curve, run.facts, run.facts.trivial_loss, run.stop_reason, Rules())
    first = findings(view)[0]
    return first.verdict, first.clarity, first.verdict == run.verdict or first.verdict in run.as_well


def table(runs: Sequence[Golden]) -> Iterator[tuple[Verdict, tuple[float, ...]]]:
    """For each verdict its share of right ones by clarity, never falling. No share is above (n + 1) / (n + 2) for n
    set-ups (Laplace's rule of succession, 1814), except where a verdict was never measured.
    """
    measured = [clarity(run) for run in runs]
    everywhere = np.mean([right for _, _, right in measured])
    for verdict in Verdict:
        called = (run for run, (name, *_) in zip(runs, measured, strict=True) if name == verdict)
        seen = len({run.set_up for run in called})
        surest = min(SUREST, round((seen + 1) / (seen + 2), 2)) if seen else SUREST
        own = [(np.searchsorted(EDGES, clear, "right"), right) for name, clear, right in measured if name == verdict]
        share = (sum(right for _, right in own) + PRIOR * everywhere) / (len(own) + PRIOR)
        counts = np.array([sum(at == i for at, _ in own) for i in range(len(EDGES) + 1)])
        rights = np.array([sum(right for at, right in own if at == i) for i in range(len(EDGES) + 1)])
        smooth = (rights + PRIOR * share) / (counts + PRIOR)
        rising = IsotonicRegression().fit_transform(range(len(counts)), smooth, sample_weight=counts + PRIOR)
        yield verdict, tuple(min(surest, round(float(value), 2)) for value in rising)


def calibration_error(runs: Sequence[Golden]) -> float:
    """The expected calibration error of the confidences of the main verdicts, in ten bins of equal width."""
    sure, right = [], []
    for run in runs:
        found = diagnose(run.history, facts=run.facts, stop_reason=run.stop_reason)
        sure.append(found.confidence)
        right.append(found.verdict == run.verdict or found.verdict in run.as_well)
    bins = np.minimum((np.array(sure) * BINS).astype(int), BINS - 1)
    gaps = [np.sum(np.array(sure)[bins == i]) - np.sum(np.array(right)[bins == i]) for i in range(BINS)]
    return float(np.abs(gaps).sum() / len(sure))


def main() -> None:
    every = [*drawn(), *load()]
    for verdict, shares in table([run for run in every if not run.is_held_out]):
        print(f"    Verdict.{verdict.name}: {shares},")
    print(f"held out: {calibration_error([run for run in drawn() if run.is_held_out]):.3f}")


if __name__ == "__main__":
    main()
