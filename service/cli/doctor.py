"""`doctor`: is everything there that a stack needs, and if not, what to do."""

import os

import click
from click.core import ParameterSource

from service.cli.errors import FAILED
from service.cli.session import Session, json_option


@click.command()
@json_option
@click.pass_obj
def doctor(session: Session) -> None:
    """Check settings, broker, database and its clock, workers and their releases, storage, disks, what is kept, the
    last backup, GPU, versions, and the service that RIGHTFIT_URL names.

    The exit code is 1 where something does not work.
    """
    from service.cli import checks  # noqa: PLC0415 - see service/cli/__init__.py

    is_named = click.get_current_context().find_root().get_parameter_source("url") is not ParameterSource.DEFAULT
    found = list(checks.everything(os.environ, session.url if is_named else None))
    lines = [
        f"{'ok  ' if check.is_ok else 'FAIL'} {check.name}: {check.words}"
        + (f"\n     to do: {check.remedy}" if check.remedy else "")
        for check in found
    ]
    is_ok = all(check.is_ok for check in found)
    session.answer({"ok": is_ok, "checks": [check._asdict() for check in found]}, lambda: "\n".join(lines))
    if not is_ok:
        raise click.exceptions.Exit(FAILED)
