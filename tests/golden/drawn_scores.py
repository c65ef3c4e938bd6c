"""How well the rules do on drawn runs: `python -m tests.golden.drawn_scores` prints drawn.md."""

from collections import Counter
from collections.abc import Sequence

from service.core.diagnosis import Rules
from tests.golden.confidence import calibration_error
from tests.golden.drawn import drawn, is_aimed
from tests.golden.models import accepted
from tests.golden.scoring import Golden, called_overfitting, table


def share(runs: Sequence[Golden]) -> float:
    """Of verdicts that the labels accept."""
    return sum(run.judged(Rules()) == run.verdict for run in runs) / len(runs)


def errors(runs: Sequence[Golden]) -> list[str]:
    """The confusions, the most frequent first, as lines of Markdown."""
    pairs = Counter((run.verdict, judged) for run in runs if (judged := run.judged(Rules())) != run.verdict)
    return [f"- {count}: {label} was called {judged}" for (label, judged), count in pairs.most_common()]


def main() -> None:
    print(
        "Runs of set-ups drawn at random (`world.py`) or aimed at rare verdicts (`aimed.py`), cut at random lengths, "
        "with verdicts by how they went on, by held-out images and by a smaller rate (`drawn.py`). Made by "
        "`python -m tests.golden.drawn_scores`. Set-ups are held out whole.\n"
    )
    every = drawn()
    held_out = [run for run in every if run.is_held_out]
    parts = {
        "Calibrated on": [run for run in every if not run.is_held_out],
        "Held out": held_out,
        "Held out, aimed at rare verdicts": [run for run in held_out if is_aimed(run)],
    }
    for part, runs in parts.items():
        set_ups = len({run.seed for run in runs})
        print(f"## {part}: {len(runs)} histories of {set_ups} set-ups\n", *table(runs, Rules()), "", sep="\n")
        print(f"The labels accept {share(runs):.1%} of the verdicts.")
        print(f"The expected calibration error of the confidence is {calibration_error(runs):.3f}.\n")
        print(*errors(runs), "", sep="\n")
    print("The labels accept of small models of the same measures, fitted to the runs that are not held out:\n")
    print(*(f"- {name}: {accepts:.1%}" for name, accepts in accepted(every)), "", sep="\n")
    print(f"Of 1,000 curves of pure noise, {called_overfitting(Rules(), 1000):.1%} were called overfitting.")


if __name__ == "__main__":
    main()
