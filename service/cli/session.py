"""What every command works with: which service, and where its answer goes: words for people, or one JSON document."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import click
import httpx
from rich.console import Console, RenderableType

from service.client import Rightfit, UnusableKey

TRIES = 3  # of a request: a person waits
PATIENT_TRIES = 12  # a service that is started anew is away for some seconds, and nobody wants to watch again
UNCUT = 100_000  # columns, where no terminal has a width: whatever reads it wants it whole

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


@dataclass
class Session:
    """One call of the command."""

    url: str
    as_json: bool = False

    def client(self) -> Rightfit:
        """To be closed."""
        return self._client(TRIES)

    @contextmanager
    def patient_client(self, job_id: str, again: str) -> Iterator[Rightfit]:
        """For whoever stays with a job for hours: once the service has been reached, one that is away is waited for.

        `again` is the command that comes back to the job.
        """
        with self.client() as client:
            client.job(job_id)
        with self._client(PATIENT_TRIES, self._trying_again) as client:
            try:
                yield client
            except httpx.TransportError:
                click.echo(f"The job goes on once the service is back. Come back: {again}", err=True)
                raise

    def _trying_again(self, attempt: int) -> None:
        if attempt == 1:
            click.echo(f"{self.url} cannot be reached, trying again …", err=True)

    def _client(self, tries: int, retrying: Callable[[int], None] = lambda _: None) -> Rightfit:
        try:
            return Rightfit(self.url, tries=tries, retrying=retrying)
        except UnusableKey as error:
            raise click.BadParameter(str(error), param_hint="RIGHTFIT_API_KEY") from error

    @property
    def notes(self) -> Console:
        """For what is no part of the answer: progress, remarks."""
        return Console(stderr=self.as_json, highlight=False)

    def answer(self, document: Any, words: Callable[[], RenderableType | None] = lambda: None) -> None:
        """The document, or the words that say it to a person."""
        if self.as_json:
            click.echo(json.dumps(document, indent=2, ensure_ascii=False))
        elif (told := words()) is not None:
            console = Console(highlight=False, soft_wrap=isinstance(told, str))
            if not console.is_terminal:
                console.width = UNCUT
            console.print(told, markup=False)


def _remember(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    ctx.ensure_object(Session).as_json = value


def json_option(command: Decorated) -> Decorated:
    """`--json`, for any command."""
    option = click.option(
        "--json", is_flag=True, expose_value=False, is_eager=True, callback=_remember,
        help="One JSON document on stdout, all else on stderr.",
    )  # fmt: skip
    return option(command)
