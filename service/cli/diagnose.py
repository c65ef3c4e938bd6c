"""`diagnose`: explains a job's losses, or those of a run that was trained elsewhere, without a service."""

import sys
from pathlib import Path
from typing import Any

import click

from service.cli.completion import job_ids
from service.cli.errors import FAILED, REFUSED, Failed
from service.cli.format import format_diagnosis, format_foreign_diagnosis
from service.cli.session import Session, json_option
from service.core.diagnosis.verdicts import Verdict
from service.core.errors import Invalid

STDIN = "-"
JOB_PREFIX = "job_"
FRAMEWORKS = ("keras", "pytorch", "lightning", "timm")


def _verdicts(_: click.Context, __: click.Parameter, text: str | None) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",")) if text else ()
    if unknown := [name for name in names if name not in list(Verdict)]:
        raise click.BadParameter(f"{unknown[0]!r} is no verdict; allowed: {', '.join(Verdict)}")
    return names


def _columns(_: click.Context, __: click.Parameter, text: str | None) -> dict[str, str]:
    from service.core.diagnosis.histories.names import columns_of  # noqa: PLC0415 - only needed for histories

    try:
        return columns_of(text) if text else {}
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def _counts(_: click.Context, __: click.Parameter, text: str | None) -> tuple[int, ...] | None:
    try:
        return tuple(map(int, text.split(","))) if text else None
    except ValueError as error:
        raise click.BadParameter("allowed: whole numbers separated by commas") from error


@click.command()
@click.argument("target", metavar="FILE|-|JOB", shell_complete=job_ids)
@click.option("--classes", type=click.IntRange(min=1), help="Number of classes.")
@click.option("--train-images", type=click.IntRange(min=1), help="Number of training images.")
@click.option("--validation-images", type=click.IntRange(min=1), help="Number of validation images.")
@click.option("--label-counts", metavar="N,N…", callback=_counts, help="Training images of each class.")
@click.option("--columns", metavar="MEASURE:COLUMN,…", callback=_columns, help="Unusual names: val_loss:nll.")
@click.option("--run", metavar="NAME|NUMBER", help="The run, if the file has several.")
@click.option(
    "--framework", type=click.Choice(FRAMEWORKS), help="The framework for code in the advice; default: from the file."
)
@click.option("--fail-on", metavar="VERDICT,…", callback=_verdicts, help="Exit with 1 at one of these verdicts.")
@json_option
@click.pass_obj
def diagnose(session: Session, /, target: str, framework: str | None, fail_on: tuple[str, ...], **known: Any) -> None:
    """Diagnose the losses of a run and suggest changes. The run is a file with a history from any framework, a log on
    stdin (-), or a job of the service.

    Only a job needs the service.
    """
    if (data := _history(target)) is not None:
        diagnosis = _of_file(data, known, session.as_json)
        session.answer(diagnosis, lambda: format_foreign_diagnosis(diagnosis, framework))
    else:
        with session.client() as client:
            diagnosis = client.diagnose(target)
        session.answer(diagnosis, lambda: format_diagnosis(target, diagnosis))
    if diagnosis["verdict"] in fail_on:
        raise click.exceptions.Exit(FAILED)


def _history(target: str) -> bytes | None:
    """The file that the target names, None if it names a job."""
    from service.core.diagnosis.histories import MOST_BYTES  # noqa: PLC0415 - only needed for histories

    if target == STDIN:
        return sys.stdin.buffer.read(MOST_BYTES + 1) if sys.stdin else b""  # None when it is closed
    if Path(target).exists() and not Path(target).is_dir():  # a pipe counts: `rightfit diagnose <(grep loss log)`
        with Path(target).open("rb") as file:
            return file.read(MOST_BYTES + 1)
    if Path(target).exists() or not target.startswith(JOB_PREFIX):
        raise click.BadParameter(f"{target!r} is neither a file nor the id of a job", param_hint="FILE|-|JOB")
    return None


def _of_file(data: bytes, known: dict[str, Any], as_json: bool) -> dict[str, Any]:
    from service.core.diagnosis.histories import read  # noqa: PLC0415 - likewise
    from service.core.experiments.foreign_runs import KnownFacts, diagnose_reading, to_dict  # noqa: PLC0415 - likewise

    columns, run = known.pop("columns"), known.pop("run")
    try:
        return to_dict(diagnose_reading(read(data, columns, run), KnownFacts(**known)))
    except Invalid as error:
        faults = [{"detail": fault.detail, "allowed": fault.allowed} for fault in error.faults]
        lines = "\n".join(f"{fault.detail}\nAllowed: {fault.allowed}" for fault in error.faults)
        raise Failed(lines, REFUSED, {"code": error.code, "errors": faults} if as_json else None) from error
