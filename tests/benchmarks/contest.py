"""The contestants and the contest: in every round each of them does every job once, as a process of its own."""

import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.processes import OURS, THEIRS, ProcessFailed, measure
from tests.benchmarks.summary import US, US_FP32, Run

CONTESTANTS = {
    US: "tests.benchmarks.rightfit",
    US_FP32: "tests.benchmarks.rightfit_fp32",
    "bare": "tests.benchmarks.peers.bare",
    "article": "tests.benchmarks.peers.article",
    "lightning": "tests.benchmarks.peers.lightning_",
    "keras": "tests.benchmarks.peers.keras_",
    "skorch": "tests.benchmarks.peers.skorch_",
    "ignite": "tests.benchmarks.peers.ignite_",
    "fastai": "tests.benchmarks.peers.fastai_",
    "huggingface": "tests.benchmarks.peers.huggingface",
}


@dataclass(frozen=True)
class Match:
    """One job at one batch size, on the images of the file `data`."""

    job: str
    batch_size: int
    epochs: int
    data: Path


def compete(names: Sequence[str], matches: Sequence[Match], rounds: int, scratch: Path) -> tuple[list[Run], list[str]]:
    """All runs and the messages of those that failed.

    The order rotates and each round has its own seed, so that drift affects all contestants alike.
    """
    runs: list[Run] = []
    failures: list[str] = []
    for number in range(rounds):
        for match in matches:
            for name in rotated(names, number):
                try:
                    runs.append(run(name, match, number, scratch))
                except ProcessFailed as failure:
                    failures.append(f"{name}, {match.job}, batch size {match.batch_size}: {failure}")
                    print(failures[-1], file=sys.stderr, flush=True)
                else:
                    print(progress(runs[-1]), flush=True)
    return runs, failures


def rotated(names: Sequence[str], by: int) -> list[str]:
    by %= len(names)
    return [*names[by:], *names[:by]]


def run(name: str, match: Match, number: int, scratch: Path) -> Run:
    """Raises ProcessFailed."""
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        options: Mapping[str, object] = {
            "--job": match.job,
            "--data": match.data,
            "--batch-size": match.batch_size,
            "--epochs": match.epochs,
            "--seed": number,
            "--folder": folder,
        }
        words = [str(word) for option in options.items() for word in option]
        measured = measure(OURS if name in (US, US_FP32) else THEIRS, CONTESTANTS[name], words)
    return Run(
        job=match.job,
        batch_size=match.batch_size,
        round=number,
        seed=number,
        seconds=measured.seconds,
        peak_bytes=measured.peak_bytes,
        **measured.line,
    )


def progress(run: Run) -> str:
    return (
        f"round {run.round + 1}  {run.job:6}  batch size {run.batch_size:4}  {run.name:14}"
        f"{run.images_per_second:8,.0f} images/s {run.seconds:7.1f} s  loss {run.val_losses[-1]:.4f}"
    )
