"""How well the rules do on drawn runs: `python -m tests.golden.drawn_scores` prints drawn.md."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from statistics import fmean

from service.core.diagnosis import Rules, Verdict
from service.core.evaluation.intervals import wilson
from tests.golden.confidence import calibration_error
from tests.golden.drawn import drawn, is_aimed
from tests.golden.models import accepted
from tests.golden.scoring import Golden, called_overfitting


def share(runs: Sequence[Golden]) -> float:
    """Of verdicts that the labels accept."""
    return sum(run.judged(Rules()) == run.verdict for run in runs) / len(runs)


def errors(runs: Sequence[Golden]) -> list[str]:
    """The confusions, the most frequent first, as lines of Markdown."""
    pairs = Counter((run.verdict, judged) for run in runs if (judged := run.judged(Rules())) != run.verdict)
    return [f"- {count}: {label} was called {judged}" for (label, judged), count in pairs.most_common()]


def set_ups(runs: Iterable[Golden]) -> int:
    """How many different ones."""
    return len({run.set_up for run in runs})


def rows(runs: Sequence[Golden]) -> Iterator[str]:
    """By verdict, precision and recall with their intervals, as lines of Markdown."""
    judged = [(run, run.judged(Rules())) for run in runs]
    yield "| verdict | runs | set-ups | precision | recall |"
    yield "|---|---|---|---|---|"
    for verdict in Verdict:
        labelled = [pair for pair in judged if pair[0].verdict == verdict]
        called = [pair for pair in judged if pair[1] == verdict]
        if labelled:
            cells = (_share(verdict, pairs) for pairs in (called, labelled))
            yield f"| {verdict} | {len(labelled)} | {set_ups(run for run, _ in labelled)} | {' | '.join(cells)} |"


def _share(verdict: Verdict, pairs: Sequence[tuple[Golden, Verdict]]) -> str:
    """Of the runs, those that have the verdict and are called so, with the interval of as many runs as set-ups."""
    if not pairs:
        return "-"
    right, trials = fmean(run.verdict == verdict == name for run, name in pairs), set_ups(run for run, _ in pairs)
    least, most = wilson(right * trials, trials)
    return f"{right:.2f} ({least:.2f} to {most:.2f})"


def main() -> None:
    print(
        "Runs of set-ups drawn at random (`world.py`) or aimed at rare verdicts (`aimed.py`), cut at random lengths, "
        "with verdicts by how they went on, by held-out images and by a smaller rate (`drawn.py`). Made by "
        "`python -m tests.golden.drawn_scores`. Set-ups are held out whole. In brackets: Wilson's 95 % intervals, in "
        "which each set-up counts as one run.\n"
    )
    every = drawn()
    held_out = [run for run in every if run.is_held_out]
    parts = {
        "Calibrated on": [run for run in every if not run.is_held_out],
        "Held out": held_out,
        "Held out, aimed at rare verdicts": [run for run in held_out if is_aimed(run)],
    }
    for part, runs in parts.items():
        print(f"## {part}: {len(runs)} histories of {set_ups(runs)} set-ups\n", *rows(runs), "", sep="\n")
        print(f"The labels accept {share(runs):.1%} of the verdicts.")
        print(f"The expected calibration error of the confidence is {calibration_error(runs):.3f}.\n")
        print(*errors(runs), "", sep="\n")
    print("The labels accept of small models of the same measures, fitted to the runs that are not held out:\n")
    print(*(f"- {name}: {accepts:.1%}" for name, accepts in accepted(every)), "", sep="\n")
    alarms = called_overfitting(Rules(), 1000)
    print(f"Of 1,000 curves of pure noise, {alarms:.1%} were called overfitting or overconfident.")


if __name__ == "__main__":
    main()
