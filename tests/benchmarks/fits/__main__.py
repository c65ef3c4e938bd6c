"""Fits beside Optuna and beside a person who follows the advice: the same images, the same minutes, in turn.

`python -m tests.benchmarks.fits` needs a quiet machine and, for the set fashion, Debian's package
dataset-fashion-mnist. The results are written after each run.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

from tests.benchmarks.fits.optuna_ import search
from tests.benchmarks.fits.report import Outcome, markdown
from tests.benchmarks.fits.rightfit import advice, fit
from tests.benchmarks.fits.sets import FASHION, SETS
from tests.benchmarks.fits.systems import Budget, Json, System, score
from tests.benchmarks.processes import OURS, ROOT, ProcessFailed, measure

SYSTEMS: dict[str, System] = {"rightfit": fit, "optuna": search, "advice": advice}


def main() -> int:
    given = options()
    if "fashion" in given.sets and not FASHION.exists():
        print(f"{FASHION} is not there: install Debian's package dataset-fashion-mnist.", file=sys.stderr)
        return 1
    about = measure(OURS, "tests.benchmarks.machine", ()).line
    about |= {"date": f"{datetime.now(UTC):%Y-%m-%d}", "minutes": given.minutes, "seeds": given.seeds}
    more = f"-from-seed-{given.first_seed}" if given.first_seed else ""
    outcomes: list[Outcome] = []
    failures: list[str] = []
    for outcome in compared(given, failures):
        outcomes.append(outcome)
        write(given.results / f"{about['date']}-{about['slug']}-fits{more}.json", about, outcomes, failures)
    return 1 if failures else 0


def compared(given: argparse.Namespace, failures: list[str]) -> Iterator[Outcome]:
    """Every system in turn on every set, one at a time. Adds to the failures."""
    for seed in range(given.first_seed, given.first_seed + given.seeds):
        for number, name in enumerate(given.sets):
            images = SETS[name](seed)
            for system in rotated(given.systems, seed + number):
                load = os.getloadavg()[0]
                try:
                    answer = SYSTEMS[system](images, Budget(given.minutes, seed))
                except (ProcessFailed, RuntimeError) as failure:
                    failures.append(f"{system} on {name}, seed {seed}: {failure}")
                    print(failures[-1], file=sys.stderr, flush=True)
                    continue
                scored = score(answer.probabilities, images.test_labels)
                outcome = Outcome(system, name, seed, scored, answer.val_loss, load, answer.details)
                others = [
                    replace(outcome, system=f"{system} {other}", test=score(shares, images.test_labels), details={})
                    for other, shares in answer.others.items()
                ]
                for each in (outcome, *others):
                    print(json.dumps(asdict(each)), flush=True)
                    yield each


def rotated(systems: list[str], by: int) -> list[str]:
    """The systems in another order each time, so that none is always the first."""
    start = by % len(systems)
    return systems[start:] + systems[:start]


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0, help="of each system on each set")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0, help="more seeds than an earlier run had")
    parser.add_argument("--sets", type=names(SETS), default=list(SETS), help="with commas between them")
    parser.add_argument("--systems", type=names(SYSTEMS), default=list(SYSTEMS), help="with commas between them")
    parser.add_argument(
        "--results", type=Path, default=ROOT / "tests/benchmarks/results", help="the folder to write to"
    )
    return parser.parse_args()


def names(known: Iterable[str]) -> Callable[[str], list[str]]:
    """Reads names with commas between them. Raises ArgumentTypeError, to be shown, for an unknown one."""
    allowed = list(known)

    def read(text: str) -> list[str]:
        read_names = text.split(",")
        if unknown := [name for name in read_names if name not in allowed]:
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: expected some of {', '.join(allowed)}")
        return read_names

    return read


def write(path: Path, about: Json, outcomes: Sequence[Outcome], failures: Sequence[str]) -> None:
    """The results as JSON and as Markdown."""
    path.parent.mkdir(parents=True, exist_ok=True)
    runs = [asdict(outcome) for outcome in outcomes]
    path.write_text(json.dumps(about | {"failures": list(failures), "runs": runs}, indent=1))
    path.with_suffix(".md").write_text(markdown(about, outcomes, failures))


if __name__ == "__main__":
    sys.exit(main())
