"""`serve` and `demo`: the stack on this machine."""

import sys

import click
from rich.console import Console

from service.core.settings import Settings


@click.command()
def serve() -> None:
    """Run the stack on this machine until Ctrl-C.

    Settings are environment variables: RIGHTFIT_PORT, RIGHTFIT_HOST, RIGHTFIT_HOME and others.
    """
    from service import standalone  # noqa: PLC0415 - see service/cli/__init__.py

    sys.exit(standalone.serve(Settings.from_env()))


@click.command()
def demo() -> None:
    """Train two models on a stack of its own, show their curves, verify what was downloaded."""
    from service import demo as demonstration  # noqa: PLC0415 - see service/cli/__init__.py

    sys.exit(demonstration.run(Console()))
