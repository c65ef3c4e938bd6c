"""`train` and `fork`: submit new jobs."""

from typing import Any, TextIO

import click

from service.cli.completion import advice_ids, job_ids
from service.cli.format import SOURCES, format_queued_job
from service.cli.live_view import watch_to_the_end
from service.cli.session import Session, json_option
from service.client import Json
from service.core.text import format_number, format_size


@click.command()
@click.argument("spec", type=click.File(encoding="utf-8"))
@click.option(
    "--set",
    "changes",
    metavar="PATH=VALUE",
    multiple=True,
    help="Change a value of the spec, for example model.hidden=[64]. May be repeated.",
)
@click.option(
    "--plan", is_flag=True, help="Validate the spec and print its parameters, memory and time; do not queue a job."
)
@click.option("--watch", is_flag=True, help="Watch the job until it has ended.")
@json_option
@click.pass_obj
def train(session: Session, spec: TextIO, changes: tuple[str, ...], plan: bool, watch: bool) -> None:
    """Train a model. SPEC is a job spec in a YAML or JSON file; - is stdin.

    A PATH separates names by dots; the items of a list are numbered from 0. A VALUE is YAML or JSON.
    """
    from service.cli import specs  # noqa: PLC0415 - see service/cli/__init__.py

    job_spec = specs.read_spec(specs.read_text(spec, "SPEC"), changes)
    if plan:
        with session.client() as client:
            planned = client.plan(job_spec)
        session.answer(planned, lambda: _format_plan(planned))
        return
    with session.client() as client:
        job = client.submit(job_spec)
    _report(session, job, watch=watch)


@click.command()
@click.argument("job_id", metavar="ID", shell_complete=job_ids)
@click.argument("advice", required=False, shell_complete=advice_ids)
@click.option("--patch", type=click.File(encoding="utf-8"), help="A JSON Patch (RFC 6902), as YAML or JSON.")
@click.option("--keep-weights", is_flag=True, help="Start from the job's best model instead of random weights.")
@click.option("--watch", is_flag=True, help="Watch the job until it has ended.")
@json_option
@click.pass_obj
def fork(
    session: Session, job_id: str, advice: str | None, patch: TextIO | None, keep_weights: bool, watch: bool
) -> None:
    """Train with a job's spec, changed by ADVICE of its diagnosis or by a patch. The data split stays the same.

    With --keep-weights, ADVICE or a patch may be left out.
    """
    from service.cli import specs  # noqa: PLC0415 - see service/cli/__init__.py

    if (advice is not None and patch is not None) or not (advice or patch or keep_weights):
        raise click.UsageError("give either ADVICE, an id from `rightfit diagnose`, or --patch FILE")
    change: Any = specs.parse(specs.read_text(patch, "--patch"), "--patch") if patch else None
    if patch and not isinstance(change, list):
        raise click.BadParameter("a JSON Patch is a list of operations", param_hint="--patch")
    with session.client() as client:
        job = client.fork(job_id, advice=advice, patch=change, keep_weights=keep_weights)
    _report(session, job, watch=watch)


def _report(session: Session, job: Json, *, watch: bool) -> None:
    if not watch:
        session.answer(job, lambda: format_queued_job(job))
        return
    session.note(f"queued {job['id']}")
    watch_to_the_end(session, job["id"])


def _format_plan(plan: Json) -> str:
    memory = ", ".join(f"{name.removesuffix('_bytes')} {format_size(count)}" for name, count in plan["memory"].items())
    lines = [f"{plan['parameters']:,} parameters; memory: {memory}"]
    if time := plan.get("time"):  # none on GPUs before the first job, and of older services
        seconds, of_epoch = time["seconds"], format_number(time["epoch_seconds"])
        lines.append(f"at most about {seconds:,.1f} s ({of_epoch} s an epoch), {SOURCES[time['source']]}")
    return "\n".join(lines + [f"warning: {warning}" for warning in plan["warnings"]])
