"""The benchmark: every contestant trains the same job in turn, and the results are written to files.

`python -m tests.benchmarks.bench`; the peers run in .venv-bench, which `make bench` sets up.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.benchmarks.contest import CONTESTANTS, Match, compete
from tests.benchmarks.processes import OURS, ROOT, THEIRS, THREADS, ProcessFailed, measure
from tests.benchmarks.report import markdown
from tests.benchmarks.summary import Run, tabulate

EPOCHS, QUICK_EPOCHS = {"cnn": 2, "digits": 30}, {"cnn": 2, "digits": 2}
QUICK_IMAGES = ("--train", "640", "--validation", "256")
QUICK_SLOTS = ("--epochs", "1", "--jobs", "2", "--rounds", "1")
DIGITS_BATCH = 64
QUIET = 0.5  # more load than this before the start is somebody else's work

Json = dict[str, Any]


def main() -> int:
    given = options()
    if not THEIRS.exists():
        print("The peers' environment, .venv-bench, is not there: run `make bench`.", file=sys.stderr)
        return 1
    busy = os.getloadavg()[0]
    if busy > QUIET:
        print(f"The machine is busy (load {busy:.1f}): its figures will not be worth much.", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="rightfit-bench-") as folder:
        scratch = Path(folder)
        about = machine() | {"date": f"{datetime.now(UTC):%Y-%m-%d}", "threads": THREADS, "load": busy}
        data = {job: images(job, given.quick, scratch) for job in EPOCHS}
        runs, failures = compete(given.only, matches(given, data), given.rounds, scratch)
        extras: Json = {}
        for name in (name for name in EXTRAS if getattr(given, name)):
            try:
                extras[name] = EXTRAS[name](given.quick, data)
            except ProcessFailed as failure:
                failures.append(f"{name}: {failure}")
                print(failures[-1], file=sys.stderr, flush=True)
    about |= {"rounds": given.rounds, "failures": failures}
    name = f"{about['date']}-{about['slug']}{'-quick' if given.quick else ''}.json"
    write(given.results / name, about, runs, extras)
    return 1 if failures else 0


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--jobs", nargs="*", choices=EPOCHS, help="none of them: only the extra measurements")
    parser.add_argument("--batch-sizes", nargs="+", type=int, help=f"of the job cnn; digits has {DIGITS_BATCH}")
    parser.add_argument("--only", nargs="+", choices=CONTESTANTS, default=list(CONTESTANTS), metavar="NAME")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, one round: does everything work?")
    parser.add_argument("--results", type=Path, help="the folder to write to")
    for name in EXTRAS:
        parser.add_argument(f"--{name}", action="store_true", help=f"also run tests.benchmarks.{name}")
    given = parser.parse_args()
    given.rounds = given.rounds or (1 if given.quick else 3)
    given.jobs = given.jobs if given.jobs is not None else ["cnn"] if given.quick else list(EPOCHS)
    given.batch_sizes = given.batch_sizes or ([64] if given.quick else [64, 256])
    given.results = given.results or ROOT / ("build/bench" if given.quick else "tests/benchmarks/results")
    return given


def matches(given: argparse.Namespace, data: dict[str, Path]) -> list[Match]:
    epochs = QUICK_EPOCHS if given.quick else EPOCHS
    return [
        Match(job, batch_size, epochs[job], data[job])
        for job in given.jobs
        for batch_size in (given.batch_sizes if job == "cnn" else [DIGITS_BATCH])
    ]


def machine() -> Json:
    """On what this runs. Raises ProcessFailed where the two environments would be no fair match."""
    ours, theirs = (measure(python, "tests.benchmarks.machine", ()).line for python in (OURS, THEIRS))
    if ours != theirs:
        raise ProcessFailed(f"the two environments differ: {ours} and {theirs}")
    return ours


def images(job: str, quick: bool, folder: Path) -> Path:
    path = folder / f"{job}.npz"
    measure(OURS, "tests.benchmarks.data", ["--job", job, "--path", str(path), *(QUICK_IMAGES if quick else ())])
    return path


def size(quick: bool, _: dict[str, Path]) -> Json:
    return measure(OURS, "tests.benchmarks.size", ["--quick"] if quick else []).line


def overhead(quick: bool, data: dict[str, Path]) -> Json:
    def of(job: str, epochs: int) -> Json:
        words = ["--job", job, "--data", str(data[job]), "--epochs", str(epochs)]
        return measure(OURS, "tests.benchmarks.overhead", words).line

    return {job: of(job, epochs) for job, epochs in ({"cnn": 3, "digits": 5} if quick else OVERHEAD_EPOCHS).items()}


def limit(quick: bool, data: dict[str, Path]) -> Json:
    words = ["--data", str(data["cnn"]), *(["--epochs", "2"] if quick else [])]
    return measure(OURS, "tests.benchmarks.limit", words).line


def service(quick: bool, _: dict[str, Path]) -> Json:
    return measure(OURS, "tests.benchmarks.service", ["--epochs", "2", "--repeats", "2"] if quick else []).line


def fixed_cost(quick: bool, _: dict[str, Path]) -> Json:
    return measure(OURS, "tests.benchmarks.fixed_cost", ["--epochs", "2", "--jobs", "1"] if quick else []).line


def queue(quick: bool, _: dict[str, Path]) -> Json:
    return measure(OURS, "tests.benchmarks.queue", ["--sizes", "20", "40"] if quick else []).line


def load(quick: bool, _: dict[str, Path]) -> Json:
    return measure(OURS, "tests.benchmarks.load", ["--seconds", "0.5", "--rounds", "1"] if quick else []).line


def scrape(quick: bool, _: dict[str, Path]) -> Json:
    return measure(OURS, "tests.benchmarks.scrape", ["--quick"] if quick else []).line


def slots(quick: bool, _: dict[str, Path]) -> Json:
    return measure(OURS, "tests.benchmarks.slots", QUICK_SLOTS if quick else []).line


OVERHEAD_EPOCHS = {"cnn": 6, "digits": 100}
EXTRAS: dict[str, Callable[[bool, dict[str, Path]], Json]] = {
    "size": size,
    "overhead": overhead,
    "limit": limit,
    "service": service,
    "fixed_cost": fixed_cost,
    "queue": queue,
    "load": load,
    "scrape": scrape,
    "slots": slots,
}


def write(path: Path, about: Json, runs: Sequence[Run], extras: Json) -> None:
    """The results as JSON, Markdown and, where there was a contest, a picture."""
    tables = {
        f"{job}, batch size {batch_size}": tabulate([r for r in runs if (r.job, r.batch_size) == (job, batch_size)])
        for job, batch_size in dict.fromkeys((run.job, run.batch_size) for run in runs)
    }
    rows = {title: [asdict(row) for row in table] for title, table in tables.items()}
    text = markdown(about, tables, extras)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(about | {"tables": rows, "extras": extras, "runs": [*map(asdict, runs)]}, indent=1))
    path.with_suffix(".md").write_text(text)
    if tables:
        measure(THEIRS, "tests.benchmarks.chart", [str(path), str(path.with_suffix(".png"))])
    print(f"\n{text}\nWritten to {path}")


if __name__ == "__main__":
    sys.exit(main())
