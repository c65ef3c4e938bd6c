"""`python -m tests.benchmarks.airbench`: images a second and accuracy of the recipe, in the engine and as a plain loop.

By default on pictures that code draws and with a small network: some minutes of one core. `--full` has the widths,
epochs and batch size of the recipe; `--data cifar-10-binary.tar.gz` trains on CIFAR-10 (binary version). `--target
0.94` adds the seconds until an epoch ends with this accuracy. Systems take turns; the first of them changes from seed
to seed. One thread of a CPU is timed by its processor time, so that other processes of the machine matter little. On a
GPU, and with more threads, it is the time that passes. On a GPU an untimed run of one epoch comes first.
"""

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean

import torch

from tests.benchmarks.airbench import engine, plain
from tests.benchmarks.airbench.recipe import Size, spec_of
from tests.benchmarks.airbench.sets import cifar10, drawn, training_images
from tests.benchmarks.machine import processor
from tests.golden.paired import spread
from workers.training.data.images import ImageSet

SMALL = Size(widths=(16, 32, 32), epochs=8, batch_size=64)
TRAIN_IMAGES, VALIDATION_IMAGES = 2_000, 500
RIGHTFIT, PLAIN = "Rightfit", "plain loop"


@dataclass(frozen=True)
class Run:
    """Of each epoch the seconds since the start and the validation accuracy. `images` train in an epoch."""

    images: int
    epochs: Sequence[tuple[float, float]]

    @property
    def images_per_second(self) -> float:
        """Training images a second of the whole run, with preparation and scoring."""
        return self.images * len(self.epochs) / self.epochs[-1][0]

    @property
    def accuracy(self) -> float:
        return self.epochs[-1][1]

    def seconds_to(self, target: float) -> float | None:
        """Seconds until an epoch ends with this accuracy; None if none does."""
        return next((seconds for seconds, accuracy in self.epochs if accuracy >= target), None)


def run(system: str, images: ImageSet, size: Size, seed: int, device: torch.device, precision: str) -> Run:
    clock = time.process_time if device.type == "cpu" and torch.get_num_threads() == 1 else time.monotonic
    epochs: list[tuple[float, float]] = []
    started = clock()

    def add(accuracy: float) -> None:
        epochs.append((clock() - started, accuracy))

    if system == PLAIN:
        plain.train(images, size, seed, device, precision, add)
    else:
        engine.train(images, spec_of(size, seed, device.type, precision), device, add)
    return Run(training_images(images), epochs)


def compared(images: Mapping[int, ImageSet], size: Size, device: torch.device, precision: str) -> dict[str, list[Run]]:
    """The runs of both systems with each seed on its images."""
    results: dict[str, list[Run]] = {RIGHTFIT: [], PLAIN: []}
    if device.type == "cuda":
        for system in results:
            run(system, next(iter(images.values())), replace(size, epochs=1), 0, device, precision)
    for number, (seed, own) in enumerate(images.items()):
        for system in list(results)[:: 1 if number % 2 else -1]:
            results[system].append(run(system, own, size, seed, device, precision))
            last = results[system][-1]
            print(f"{seed} {system}: {last.accuracy:.1%} {last.images_per_second:,.0f}/s", file=sys.stderr, flush=True)
    return results


def table(results: Mapping[str, Sequence[Run]], target: float | None) -> str:
    """A row for each system in Markdown, the means over the seeds; then what Rightfit has more, with 95 % intervals."""
    head = ["run", "images a second", "accuracy", *([] if target is None else [f"seconds to {target:.0%}"])]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for system, runs in results.items():
        cells = [system, f"{mean(r.images_per_second for r in runs):,.0f}", f"{mean(r.accuracy for r in runs):.1%}"]
        lines.append(f"| {' | '.join([*cells, *([] if target is None else [_to_target(runs, target)])])} |")
    pairs = list(zip(results[RIGHTFIT], results[PLAIN], strict=True))
    ratio, half = spread([ours.images_per_second / theirs.images_per_second for ours, theirs in pairs])
    gain, width = spread([ours.accuracy - theirs.accuracy for ours, theirs in pairs])
    lines.append(f"\nRightfit: {ratio:.2f} ± {half:.2f} times as fast, {100 * gain:+.1f} ± {100 * width:.1f} points.")
    return "\n".join(lines)


def _to_target(runs: Sequence[Run], target: float) -> str:
    known = [seconds for each in runs if (seconds := each.seconds_to(target)) is not None]
    return f"{mean(known):.1f} ({len(known)} of {len(runs)} runs)" if known else "not reached"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, help="cifar-10-binary.tar.gz; without it pictures are drawn")
    parser.add_argument("--full", action="store_true", help="widths, epochs and batch size of the recipe")
    parser.add_argument("--widths", type=int, nargs=3, help="channels of the blocks")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--images", type=int, help="training images")
    parser.add_argument("--seeds", type=int, default=3, help="at least 2")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--target", type=float, help="accuracy to reach, for example 0.94")
    parser.add_argument("--threads", type=int, default=1, help="of torch on a CPU")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    usual = Size() if given.full else SMALL
    changes = {name: getattr(given, name) for name in ("widths", "epochs", "batch_size")}
    size = replace(usual, **{name: value for name, value in changes.items() if value})
    seeds = range(1, given.seeds + 1)
    if given.data:
        images = dict.fromkeys(seeds, cifar10(given.data, given.images))
    else:
        images = {seed: drawn(given.images or TRAIN_IMAGES, VALIDATION_IMAGES, seed) for seed in seeds}
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    print(table(compared(images, size, device, given.precision), given.target))
    machine = torch.cuda.get_device_name() if device.type == "cuda" else processor()
    print(f"\n{size}, {given.precision}, {given.seeds} seeds, {torch.get_num_threads()} threads, {machine}")


if __name__ == "__main__":
    main()
