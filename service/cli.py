"""The command `rightfit`."""

import sys

import click
from rich.console import Console

from service import demo as demonstration
from service import standalone
from service.core.errors import RightfitError
from service.core.settings import Settings


@click.group()
def main() -> None:
    """Training as a service for image classifiers."""


@main.command()
def serve() -> None:
    """Run the stack on this machine until Ctrl-C.

    Settings are environment variables: RIGHTFIT_PORT, RIGHTFIT_HOST, RIGHTFIT_HOME and others.
    """
    try:
        sys.exit(standalone.serve(Settings.from_env()))
    except RightfitError as error:
        raise click.ClickException(str(error)) from error


@main.command()
def demo() -> None:
    """Train two models on a stack of its own, show their curves, verify what was downloaded."""
    try:
        sys.exit(demonstration.run(Console()))
    except RightfitError as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()
