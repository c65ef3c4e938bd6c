"""Shared by all commands: the service's address, and the output as text or as one JSON document."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import click
import httpx
from rich.console import Console, RenderableType

from service.client import Rightfit, UnusableKey

TRIES = 3  # of a request while a person waits for the answer
PATIENT_TRIES = 12  # outlasts the restart of a service
PIPE_WIDTH = 100_000  # columns of output that is not a terminal: programs need whole lines

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


@dataclass
class Session:
    """One call of the command."""

    url: str
    as_json: bool = False

    def client(self) -> Rightfit:
        """A client, to be closed by the caller."""
        return self._client(TRIES)

    @contextmanager
    def patient_client(self, reach: Callable[[Rightfit], object], again: str) -> Iterator[Rightfit]:
        """A client for commands that follow something: it waits for a service that is away, once `reach` has succeeded.

        `again` is the command that continues to follow it.
        """
        with self.client() as client:
            reach(client)
        with self._client(PATIENT_TRIES, self._report_retry) as client:
            try:
                yield client
            except httpx.TransportError:
                click.echo(f"Training goes on once the service is back. Come back: {again}", err=True)
                raise

    def _report_retry(self, attempt: int) -> None:
        if attempt == 1:
            click.echo(f"{self.url} cannot be reached, trying again …", err=True)

    def _client(self, tries: int, retrying: Callable[[int], None] = lambda _: None) -> Rightfit:
        try:
            return Rightfit(self.url, tries=tries, retrying=retrying)
        except UnusableKey as error:
            raise click.BadParameter(str(error), param_hint="RIGHTFIT_API_KEY") from error

    @property
    def notes(self) -> Console:
        """The console for progress and remarks, which are not part of the answer."""
        return Console(stderr=self.as_json, highlight=False)

    def note(self, text: str) -> None:
        """Print a remark."""
        self.notes.print(text, markup=False, soft_wrap=True)

    def answer(self, document: Any, text: Callable[[], RenderableType | None] = lambda: None) -> None:
        """Print the document under --json, otherwise the text that stands for it."""
        if self.as_json:
            click.echo(json.dumps(document, indent=2, ensure_ascii=False))
        elif (output := text()) is not None:
            console = Console(highlight=False, soft_wrap=isinstance(output, str))
            if not console.is_terminal:
                console.width = PIPE_WIDTH
            console.print(output, markup=False)


def _set_as_json(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    ctx.ensure_object(Session).as_json = value


def json_option(command: Decorated) -> Decorated:
    """The option --json."""
    meaning = "Print one JSON document to stdout and everything else to stderr."
    option = click.option(
        "--json", is_flag=True, expose_value=False, is_eager=True, callback=_set_as_json, help=meaning
    )
    return option(command)
