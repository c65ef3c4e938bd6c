"""`folds`: cross-validate a spec or a data set, and show the scores over the folds."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO, cast

import click
from rich.console import Group, RenderableType

from service.cli.errors import FAILED, INTERRUPTED
from service.cli.format import list_table
from service.cli.session import Session, json_option
from service.client import Json, Rightfit
from service.core.records.folds import MOST_SEEDS
from service.core.records.job import TERMINAL
from service.core.spec.parts import LEAST_FOLDS, LOSSES, MOST_FOLDS
from service.core.text import counted, format_number, format_percent

PREFIX = "fld_"  # of ids


@click.command()
@click.argument("source", metavar="SPEC|DATASET|ID")
@click.option(
    "--folds", type=click.IntRange(LEAST_FOLDS, MOST_FOLDS), default=5, show_default=True, help="Number of folds."
)
@click.option(
    "--seeds",
    type=click.IntRange(1, MOST_SEEDS),
    default=1,
    show_default=True,
    help="Number of times that the set is divided into folds.",
)
@click.option("--set", "changes", metavar="PATH=VALUE", multiple=True, help="Change a value of the spec, as in train.")
@click.option("--plan", is_flag=True, help="Validate, and print the number of jobs; do not queue them.")
@click.option("--watch", is_flag=True, help="Wait until all jobs have ended.")
@click.option("--cancel", is_flag=True, help="Cancel the jobs of ID that have not ended.")
@json_option
@click.pass_obj
def folds(
    session: Session,
    source: str,
    folds: int,
    seeds: int,
    changes: tuple[str, ...],
    plan: bool,
    watch: bool,
    cancel: bool,
) -> None:
    """Cross-validate: each of N folds validates a model that is trained on the other folds.

    SPEC is a job spec in a YAML or JSON file; - is stdin. DATASET is the id of a data set; its spec has the
    defaults. With the ID of an earlier call, the command shows its scores again.
    """
    is_known = source.startswith(PREFIX)
    if cancel and not is_known:
        raise click.UsageError(f"--cancel needs the ID of folds, {PREFIX}…")
    if is_known and (plan or changes):
        raise click.UsageError("--plan and --set need a SPEC or a DATASET, not the ID of folds")
    spec = {} if is_known else _spec(source, changes)
    with session.client() as client:
        if plan:
            planned = client.folds.plan(spec, folds, seeds)
            session.answer(planned, lambda: _format_plan(planned))
            return
        if cancel:
            found = client.folds.cancel(source)
        else:
            found = client.folds.get(source) if is_known else client.folds.submit(spec, folds, seeds)
    if watch:
        _watch(session, found)
    else:
        session.answer(found, lambda: _view(found))


def _spec(source: str, changes: tuple[str, ...]) -> dict[str, Any]:
    from service.cli import specs  # noqa: PLC0415 - see service/cli/__init__.py

    if source != "-" and not Path(source).exists():
        return specs.read_spec(json.dumps({"dataset": {"id": source}}), changes)
    with click.open_file(source, encoding="utf-8") as file:
        return specs.read_spec(specs.read_text(cast(TextIO, file), "SPEC"), changes)


def _watch(session: Session, found: Json) -> None:
    """Show each run as it ends, then the scores. The exit code is 0 if all jobs succeeded."""
    folds_id = found["id"]
    session.note(f"queued {folds_id}: {counted(len(found['runs']), 'job')}")
    with session.patient_client(
        lambda client: client.folds.get(folds_id), f"rightfit folds {folds_id} --watch"
    ) as client:
        try:
            found = _follow(session, client, folds_id)
        except KeyboardInterrupt:
            again = f"rightfit folds {folds_id}"
            session.note(f"\nThe jobs continue. Come back: {again} --watch   end them: {again} --cancel")
            raise click.exceptions.Exit(INTERRUPTED) from None
    session.answer(found, lambda: _view(found))
    if found["jobs"]["succeeded"] < len(found["runs"]):
        raise click.exceptions.Exit(FAILED)


def _follow(session: Session, client: Rightfit, folds_id: str) -> Json:
    shown, found = set[str](), dict[str, Any]()
    for found in client.folds.changes(folds_id):
        for run in found["runs"]:
            if run["status"] in TERMINAL and run["id"] not in shown:
                shown.add(run["id"])
                session.note(_line(run))
    return found


def _line(run: Json) -> str:
    best = run["best"]
    loss, accuracy = format_number(best["val_loss"]), format_percent(best["val_accuracy"])
    measured = f", val loss {loss}, accuracy {accuracy}" if loss else ""
    return f"{run['id']}: fold {run['fold']} of seed {run['seed']} {run['status']}{measured}"


def _view(found: Json) -> RenderableType:
    """The scores over the folds, and what they say."""
    table = list_table("measure", "mean", "95 % interval", "runs")
    for score in found["scores"]:
        table.add_row(score["measure"].removeprefix("val_").replace("_", " "), *_cells(score), str(score["runs"]))
    return Group(f"{found['id']}: {found['status']}. {found['summary']}", table)


def _cells(score: Json) -> Iterator[str]:
    form = format_number if score["measure"] in LOSSES else format_percent
    yield form(score["mean"])
    yield " to ".join(map(form, score["interval"] or ()))


def _format_plan(planned: Json) -> str:
    lines = [f"{counted(planned['jobs'], 'job')} with {planned['parameters']:,} parameters each"]
    return "\n".join(lines + [f"warning: {warning}" for warning in planned["warnings"]])
