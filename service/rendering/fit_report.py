"""The report of a fit as Markdown: what was tried and why, what helped, what it cost."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from service.core.experiments.fits.progress import ended_at
from service.core.experiments.fits.standing import Standing, outcome_words
from service.core.records.fit import BASE, Fit, StepKind, TrialResult
from service.core.spec.parts import LOSSES
from service.core.spec.patch import Operations
from service.core.text import MINUTE, counted

MOST_SHOWN = 4  # changes of a patch in a table
FIRST_TRAININGS = (StepKind.START, StepKind.PROMOTE)  # repeats may have other validation images


def report(
    fit: Fit, standings: Sequence[Standing], summary: str, results: Sequence[TrialResult], evaluation: str | None
) -> str:
    """The report of a fit with its trials, the best first, and its jobs in the order in which they were queued.

    `evaluation` is the text of the kept model's evaluation, None without one.
    """
    parts = [
        f"# Fit of {fit.request.spec.dataset.id}: {fit.name or fit.id}",
        summary,
        *_proof(fit),
        *_test(fit),
        *_ensemble(fit),
        *_evaluation(evaluation),
        "## Losses over time",
        *_over_time(fit),
        "## Trials",
        *_trials(standings),
        *_importance(fit),
        "## What it cost",
        cost(standings, results),
        "## Decisions",
        *_steps(fit),
    ]
    return "\n\n".join(parts) + "\n"


def cost(standings: Sequence[Standing], results: Sequence[TrialResult]) -> str:
    """What all trainings took, beside the base alone, in a sentence."""
    seconds, jobs = sum(result.seconds for result in results), counted(len(results), "job")
    trained = f"{counted(len(standings), 'trial')} in {jobs} trained for {seconds:.1f} s."
    base = next((each.job for each in standings if each.trial == BASE), None)
    alone = next((result.seconds for result in results if result.id == base), 0.0)
    return f"{trained} The base alone took {alone:.1f} s: {alone / seconds:.0%} of it." if alone else trained


def _ensemble(fit: Fit) -> Iterator[str]:
    if not (found := (fit.result or {}).get("ensemble")):
        return
    trials = ", ".join(str(member["trial"]) for member in found["members"])
    yield "## The ensemble"
    yield f"`ensemble.zip` averages the probabilities of the trials {trials}."
    for part, words in (("validation", "which chose its members"), ("test", "used for no choice")):
        if scores := found[part]:
            loss, accuracy = scores["loss_interval"], scores["accuracy_interval"]
            against = scores["against_best"]
            beside = (
                f" Its loss minus that of the kept model: {against['loss']:+.4g} ({against['interval'][0]:+.4g} to "
                f"{against['interval'][1]:+.4g})."
                if against
                else ""
            )
            yield (
                f"On {scores['images']:,} {part} images, {words}: loss {scores['loss']:.4g} nats (95 % interval "
                f"{loss[0]:.4g} to {loss[1]:.4g}), accuracy {scores['accuracy']:.1%} ({accuracy[0]:.1%} to "
                f"{accuracy[1]:.1%}).{beside}"
            )


def _evaluation(text: str | None) -> Iterator[str]:
    if text:
        yield "## Where the kept model is wrong"
        yield f"```text\n{text.rstrip()}\n```"


def _over_time(fit: Fit) -> Iterator[str]:
    """The runs that were the best so far, and how many trials went on from the first rung."""
    rows = [f"| minute | trial | epochs | {fit.request.objective} |", "|---|---|---|---|"]
    best = None
    done = (step for step in fit.steps if step.kind in FIRST_TRAININGS and step.outcome)
    for step in sorted(done, key=ended_at):
        outcome = step.outcome or {}
        if outcome["value"] is not None and (best is None or outcome["value"] < best):
            best = outcome["value"]
            minute = max(0.0, ended_at(step) - (fit.started_at or step.at)) / MINUTE
            shown = (f"{minute:.1f}", str(step.trial), str(outcome["epochs"]), _number(fit.request.lowered(best)))
            rows.append(f"| {' | '.join(shown)} |")
    yield "Each row is a first training that was the best so far. `/fits` draws all of them."
    yield "\n".join(rows)
    paused = sum(step.kind is StepKind.START and step.until_epoch is not None for step in fit.steps)
    went_on = sum(step.kind is StepKind.PROMOTE for step in fit.steps)
    if paused:
        yield f"{counted(paused, 'trial')} paused at the first rung; {went_on} of them went on to the end."


def _proof(fit: Fit) -> Iterator[str]:
    result = fit.result or {}
    if not (gain := result.get("gain")):
        return
    low, high = gain["interval"]
    measure = "validation loss (nats)" if fit.request.objective in LOSSES else "share of wrong predictions"
    yield "## What is proved"
    yield "\n".join(
        [
            "| | base | best |",
            "|---|---|---|",
            f"| trial | {BASE} | {result['best']['trial']} |",
            *(
                f"| {words} (95 % interval) | {_measure(result['base'], name, form)} | "
                f"{_measure(result['best'], name, form)} |"
                for words, name, form in (
                    ("validation loss, nats", "val_loss", ".4g"),
                    ("validation accuracy", "val_accuracy", ".1%"),
                )
            ),
            *(
                f"| {words} | {_number(result['base'][name])} | {_number(result['best'][name])} |"
                for words, name in (
                    ("mean validation loss of its trainings", "mean_val_loss"),
                    ("trainings", "trainings"),
                )
            ),
        ]
    )
    yield (
        f"Trial {gain['trial']} minus the base, {measure}, image by image on {gain['images']:,} validation images: "
        f"{gain['difference']:.4g}, interval {low:.4g} to {high:.4g}. The "
        f"probability of keeping a trial that is not better is at most 5 %{_correction(gain['looks'])}. "
        + ("The gain is proved." if gain["is_proved"] else "No gain is proved.")
    )


def _correction(looks: int) -> str:
    """How the number of trials is accounted for."""
    if looks == 1:
        return ": these images did not choose the trial"
    return f". Several trials were compared, and this one was tested at 1/{looks} of it (Bonferroni's correction)"


def _test(fit: Fit) -> Iterator[str]:
    if not (test := (fit.result or {}).get("test")):
        return
    loss, accuracy = test["loss_interval"], test["accuracy_interval"]
    yield "## On the test images"
    words = (
        f"The {test['images']:,} test images were held out from the start and used for no choice. "
        f"Loss {test['loss']:.4g} nats (95 % interval {loss[0]:.4g} to {loss[1]:.4g}), "
        f"accuracy {test['accuracy']:.1%} ({accuracy[0]:.1%} to {accuracy[1]:.1%})."
    )
    if interval := test["optimism_interval"]:
        words += (
            f" The test loss minus the validation loss, by which the model was chosen, is {test['optimism']:.4g} "
            f"({interval[0]:.4g} to {interval[1]:.4g})."
        )
    yield words


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
        yield (
            "By PED-ANOVA over the trials that were trained to their end. The shares describe these trials. They have "
            "no interval, and prove nothing about other fits:"
        )
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


def _measure(model: Mapping[str, Any], name: str, form: str) -> str:
    """A measure of a model with its interval, as far as they are known."""
    value, interval = model[name], model.get(f"{name}_interval")
    if value is None:
        return ""
    between = f" ({interval[0]:{form}} to {interval[1]:{form}})" if interval else ""
    return f"{value:{form}}{between}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _cell(text: str) -> str:
    """Text within a row of a table or an entry of a list."""
    return text.replace("|", "\\|").replace("\n", " ")
