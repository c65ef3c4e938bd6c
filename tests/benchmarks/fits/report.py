"""The results of the comparison as Markdown: test loss and accuracy by set and system, means over the seeds."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tests.benchmarks.fits.systems import Json, Score
from tests.benchmarks.report import table

US = "rightfit"
HEADS = ("set", "system", "seeds", "test loss", "accuracy", "validation loss", "rightfit's test loss over its")


@dataclass(frozen=True)
class Outcome:
    """One run of a system: its score on the test images, and the validation loss by which it chose its model.

    `load` is that of the machine before the run; `details` say what the system did.
    """

    system: str
    set: str
    seed: int
    test: Score
    val_loss: float
    load: float
    details: Json


def markdown(about: Json, outcomes: Sequence[Outcome], failures: Sequence[str]) -> str:
    """`about` is the head of the results file."""
    groups = dict.fromkeys((outcome.set, outcome.system) for outcome in outcomes)
    rows = [_cells([o for o in outcomes if (o.set, o.system) == group], outcomes) for group in groups]
    parts = [_head(about, outcomes), table(HEADS, rows)]
    if failures:
        parts.append("## Failed\n\n" + "\n".join(f"- {failure.splitlines()[0]}" for failure in failures))
    return "\n\n".join(parts) + "\n"


def loss_ratio(outcomes: Iterable[Outcome], others: Iterable[Outcome]) -> float | None:
    """The mean test loss of some runs over that of others, over the seeds that both have; None without any."""
    losses, other_losses = ({one.seed: one.test.loss for one in runs} for runs in (outcomes, others))
    seeds = losses.keys() & other_losses.keys()
    return sum(losses[s] for s in seeds) / sum(other_losses[s] for s in seeds) if seeds else None


def _head(about: Json, outcomes: Sequence[Outcome]) -> str:
    loads = [outcome.load for outcome in outcomes]
    return (
        f"# The best model in {about['minutes']:g} minutes: {about['device']}, {about['date']}\n\n"
        f"torch {about['torch']}, Python {about['python']}; the systems run one at a time; load before a run "
        f"{min(loads):.1f} to {max(loads):.1f}.\n\n"
        "rightfit: a fit of the service. rightfit ensemble: the ensemble of the same fit, else its model; "
        "the validation loss is the model's. optuna: TPE and Hyperband over a plain fast loop of torch, with a process "
        "for each core. advice: a person who forks by the first advice and keeps what lowers the validation loss. All "
        "have the same images but those of the test; a seed draws them. optuna validates on a fifth of them; the "
        "service divides them itself. The test images choose nothing. Figures are means over the seeds, ± standard "
        "deviation. A ratio below 1 says that rightfit is ahead."
    )


def _cells(runs: Sequence[Outcome], outcomes: Sequence[Outcome]) -> list[str]:
    """A row of the table: the runs of one system on one set."""
    first = runs[0]
    ratio = loss_ratio([o for o in outcomes if (o.set, o.system) == (first.set, US)], runs)
    return [
        first.set,
        first.system,
        str(len(runs)),
        _mean([run.test.loss for run in runs], "{:.4f}"),
        _mean([run.test.accuracy for run in runs], "{:.2%}"),
        _mean([run.val_loss for run in runs], "{:.4f}"),
        "" if ratio is None else f"{ratio:.3f}",
    ]


def _mean(values: Sequence[float], form: str) -> str:
    mean = form.format(statistics.fmean(values))
    return f"{mean} ± {form.format(statistics.stdev(values))}" if len(values) > 1 else mean
