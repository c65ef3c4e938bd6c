"""The report of a fit as Markdown: what was tried and why, what helped, what it cost."""

from collections.abc import Iterator, Sequence

from service.core.experiments.fits.standing import Standing, outcome_words
from service.core.records.fit import BASE, Fit, TrialResult
from service.core.spec.parts import LOSSES
from service.core.spec.patch import Operations
from service.core.text import counted

MOST_SHOWN = 4  # changes of a patch in a table


def report(fit: Fit, standings: Sequence[Standing], summary: str, results: Sequence[TrialResult]) -> str:
    """The report of a fit with its trials, the best first, and its jobs in the order in which they were queued."""
    parts = [
        f"# Fit of {fit.request.spec.dataset.id}: {fit.name or fit.id}",
        summary,
        *_proof(fit),
        *_test(fit),
        "## Trials",
        *_trials(standings),
        *_importance(fit),
        "## What it cost",
        _cost(standings, results),
        "## Decisions",
        *_steps(fit),
    ]
    return "\n\n".join(parts) + "\n"


def _cost(standings: Sequence[Standing], results: Sequence[TrialResult]) -> str:
    trials, jobs, seconds = (
        counted(len(standings), "trial"),
        counted(len(results), "job"),
        sum(r.seconds for r in results),
    )
    return f"{trials} in {jobs} trained for {seconds:.1f} s. The base alone took {results[0].seconds:.1f} s."


def _proof(fit: Fit) -> Iterator[str]:
    result = fit.result or {}
    if not (gain := result.get("gain")):
        return
    low, high = gain["interval"]
    measure = "validation loss (nats)" if fit.request.objective in LOSSES else "share of wrong guesses"
    yield "## What is proved"
    yield "\n".join(
        [
            "| | base | best |",
            "|---|---|---|",
            f"| trial | {BASE} | {result['best']['trial']} |",
            *(
                f"| {words} | {_number(result['base'][name])} | {_number(result['best'][name])} |"
                for words, name in (
                    ("validation loss, nats", "val_loss"),
                    ("validation accuracy", "val_accuracy"),
                    ("mean validation loss of its trainings", "mean_val_loss"),
                    ("trainings", "trainings"),
                )
            ),
        ]
    )
    yield (
        f"Trial {gain['trial']} minus the base, {measure}, image by image on {gain['images']:,} validation images: "
        f"{gain['difference']:.4g}, interval {low:.4g} to {high:.4g}. The "
        f"interval accounts for {counted(gain['looks'], 'trial')} compared on these images (Bonferroni's correction): "
        "the probability that any of them is called better by chance is at most 5 %. "
        + ("The gain is proved." if gain["is_proved"] else "No gain is proved.")
    )


def _test(fit: Fit) -> Iterator[str]:
    if not (test := (fit.result or {}).get("test")):
        return
    loss, accuracy = test["loss_interval"], test["accuracy_interval"]
    yield "## On the test images"
    words = (
        f"The {test['images']:,} test images were held out from the start and chose nothing. Loss {test['loss']:.4g} "
        f"nats (95 % interval {loss[0]:.4g} to {loss[1]:.4g}), accuracy {test['accuracy']:.1%} ({accuracy[0]:.1%} to "
        f"{accuracy[1]:.1%})."
    )
    if interval := test["optimism_interval"]:
        words += (
            f" The test loss minus the validation loss, by which the model was chosen, is {test['optimism']:.4g} "
            f"({interval[0]:.4g} to {interval[1]:.4g})."
        )
    yield words
    if gain := test["gain"]:
        loss, error = gain["loss"], gain["error"]
        yield (
            f"Against the base on the same test images: loss {loss['loss']:+.4g} nats ({loss['interval'][0]:+.4g} to "
            f"{loss['interval'][1]:+.4g}), share of wrong guesses {error['loss']:+.1%} ({error['interval'][0]:+.1%} to "
            f"{error['interval'][1]:+.1%})."
        )


def _trials(standings: Sequence[Standing]) -> Iterator[str]:
    names = ("trial", "source", "changes", "val_loss", "accuracy", "epochs", "trainings", "state")
    rows = [(*names,), ("---",) * len(names), *map(_row, standings)]
    yield "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _row(each: Standing) -> tuple[str, ...]:
    measures = (_number(each.val_loss), _number(each.accuracy), f"{each.epochs} of {each.of_epochs}")
    return (str(each.trial), each.source, _changes(each.patch), *measures, str(each.trainings), each.state)


def _importance(fit: Fit) -> Iterator[str]:
    if shares := (fit.result or {}).get("importance"):
        yield "## How much each option mattered"
        yield "By PED-ANOVA over the trials that were trained to their end:"
        yield "\n".join(f"- `{each['option']}`: {each['share']:.0%}" for each in shares)


def _steps(fit: Fit) -> Iterator[str]:
    lines = []
    for step in fit.steps:
        trial = f" trial {step.trial}" if step.trial else ""
        outcome = outcome_words(fit, step)
        lines.append(
            f"{step.number}. {step.kind}{trial}: {_cell(step.data['why'])}" + (f". {outcome}" if outcome else "")
        )
    yield "\n".join(lines)


def _changes(patch: Operations) -> str:
    """The changes of a trial, the first ones in full."""
    shown = [f"`{step['path'][1:].replace('/', '.')}` {_cell(str(step.get('value', '')))}" for step in patch]
    more = f", and {len(shown) - MOST_SHOWN} more" if len(shown) > MOST_SHOWN else ""
    return ", ".join(shown[:MOST_SHOWN]) + more or "none"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _cell(text: str) -> str:
    """Text within a row of a table or an entry of a list."""
    return text.replace("|", "\\|").replace("\n", " ")
