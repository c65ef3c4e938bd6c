"""`serve` and `demo`: run the stack on this machine."""

import json
import sys
from typing import Any

import click

from service.cli.session import Session, json_option
from service.core.settings import Settings


@click.command()
@json_option
@click.pass_obj
def serve(session: Session) -> None:
    """Run the stack on this machine until Ctrl-C.

    Settings are environment variables: RIGHTFIT_PORT, RIGHTFIT_HOST, RIGHTFIT_HOME and others. --json prints
    `{"url": …, "docs": …, "logs": …}` in one line when the stack is ready.
    """
    from service.stack import standalone  # noqa: PLC0415 - see service/cli/__init__.py

    def say(words: str) -> None:
        click.echo(words, err=session.as_json)

    def ready(places: dict[str, Any]) -> None:
        if session.as_json:
            click.echo(json.dumps(places))

    sys.exit(standalone.serve(Settings.from_env(), say, ready))


@click.command()
@json_option
@click.pass_obj
def demo(session: Session) -> None:
    """Train two models on a temporary stack, show their curves, download the models and verify them.

    --json prints `{"data": [...]}`: each ended job with its `diagnosis`, and `verified` for its model.
    """
    from service.stack import demo as demonstration  # noqa: PLC0415 - see service/cli/__init__.py

    jobs = demonstration.run(session.notes)
    session.answer({"data": jobs})
    sys.exit(0 if all(job["verified"] for job in jobs) else 1)
