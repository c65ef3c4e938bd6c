"""`doctor`: checks that this machine has everything a stack needs, and says how to repair it."""

import os

import click
from click.core import ParameterSource

from service.cli.errors import FAILED
from service.cli.session import Session, json_option


@click.command()
@json_option
@click.pass_obj
def doctor(session: Session) -> None:
    """Check the stack on this machine, and the service that RIGHTFIT_URL names.

    In a folder without a stack (./var, or RIGHTFIT_HOME) only the service is checked.

    The checks: settings, broker, database and its clock, workers and their releases, storage, disks, retention, the
    last backup, GPU, versions. The exit code is 1 if a check fails.
    """
    from service.cli import checks  # noqa: PLC0415 - see service/cli/__init__.py

    is_named = click.get_current_context().find_root().get_parameter_source("url") is not ParameterSource.DEFAULT
    results = list(checks.run_checks(os.environ, session.url if is_named else None))
    lines = [
        f"{'ok  ' if check.is_ok else 'FAIL'} {check.name}: {check.words}"
        + (f"\n     to do: {check.remedy}" if check.remedy else "")
        for check in results
    ]
    is_ok = all(check.is_ok for check in results)
    session.answer({"ok": is_ok, "checks": [check._asdict() for check in results]}, lambda: "\n".join(lines))
    if not is_ok:
        raise click.exceptions.Exit(FAILED)
