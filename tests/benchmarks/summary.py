"""Statistics of the runs: medians, ranges, ratios round by round, agreement of the losses."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

US, US_FP32 = "rightfit", "rightfit fp32"
STANDARD_ERRORS = 3.0  # a mean that is further from the others' is not so by chance


@dataclass(frozen=True)
class Run:
    """One process of one contestant. `seconds` and `peak_bytes` are those of the whole process."""

    job: str
    batch_size: int
    round: int
    seed: int
    name: str
    seconds: float
    peak_bytes: int
    images_per_second: float
    epoch_seconds: list[float]
    train_losses: list[float]
    val_losses: list[float]
    val_accuracies: list[float]


@dataclass(frozen=True)
class Spread:
    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        return cls(statistics.median(values), min(values), max(values))


@dataclass(frozen=True)
class Row:
    """One contestant in one job at one batch size, over all rounds.

    `speedup` is our images per second over its, `shortening` its seconds over ours, each of the same round; None
    where we did not run. `loss_deviation` is the standard deviation over seeds, None for one seed. `agrees` says
    whether its mean final loss is that of the others within the noise, None where there is too little to tell.
    """

    name: str
    images_per_second: Spread
    seconds: Spread
    peak_bytes: Spread
    speedup: Spread | None
    shortening: Spread | None
    final_loss: float
    loss_deviation: float | None
    best_loss: float
    final_accuracy: float
    agrees: bool | None


def tabulate(runs: Sequence[Run]) -> list[Row]:
    """One row a contestant, the fastest first. All runs are of one job and batch size."""
    by_name: dict[str, list[Run]] = {}
    for run in runs:
        by_name.setdefault(run.name, []).append(run)
    ours = {run.round: run for run in by_name.get(US, ())}
    agrees = agreement({name: [run.val_losses[-1] for run in its] for name, its in by_name.items()})
    rows = [_row(name, its, ours, agrees[name]) for name, its in by_name.items()]
    return sorted(rows, key=lambda row: -row.images_per_second.median)


def _row(name: str, runs: Sequence[Run], ours: dict[int, Run], agrees: bool | None) -> Row:
    pairs = [(ours[run.round], run) for run in runs if run.round in ours]
    finals = [run.val_losses[-1] for run in runs]
    return Row(
        name=name,
        images_per_second=Spread.of([run.images_per_second for run in runs]),
        seconds=Spread.of([run.seconds for run in runs]),
        peak_bytes=Spread.of([run.peak_bytes for run in runs]),
        speedup=Spread.of([our.images_per_second / run.images_per_second for our, run in pairs]) if pairs else None,
        shortening=Spread.of([run.seconds / our.seconds for our, run in pairs]) if pairs else None,
        final_loss=statistics.mean(finals),
        loss_deviation=statistics.stdev(finals) if len(finals) > 1 else None,
        best_loss=statistics.mean(min(run.val_losses) for run in runs),
        final_accuracy=statistics.mean(run.val_accuracies[-1] for run in runs),
        agrees=agrees,
    )


def agreement(losses: dict[str, list[float]]) -> dict[str, bool | None]:
    """Whether each contestant's mean loss is that of the others, up to the noise of the seeds.

    Equal work has equal noise, so its size is estimated from all contestants together (pooled variance). The others'
    mean is the median of their means, so that one that is off does not put the others off; it is taken to be as
    uncertain as a single contestant's, since those who draw the same weights and orders from a seed agree exactly.
    """
    if len(losses) < 2 or any(len(its) < 2 for its in losses.values()):
        return dict.fromkeys(losses)
    variance = statistics.mean(statistics.variance(its) for its in losses.values())
    means = {name: statistics.mean(its) for name, its in losses.items()}
    verdicts: dict[str, bool | None] = {}
    for name, its in losses.items():
        distance = abs(means[name] - statistics.median(mean for other, mean in means.items() if other != name))
        verdicts[name] = distance <= STANDARD_ERRORS * math.sqrt(2 * variance / len(its))
    return verdicts
