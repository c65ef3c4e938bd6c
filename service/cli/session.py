"""What every command works with: which service, and where its answer goes: words for people, or one JSON document."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import click
from rich.console import Console, RenderableType

from service.client import Rightfit, UnusableKey

TRIES = 3  # of a request: a person waits; whoever watches a job for hours has more patience

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


@dataclass
class Session:
    """One call of the command."""

    url: str
    as_json: bool = False

    def client(self, tries: int = TRIES, timeout: float = 60.0) -> Rightfit:
        """To be closed. `timeout` is in seconds."""
        try:
            return Rightfit(self.url, tries=tries, timeout=timeout)
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
            Console(highlight=False, soft_wrap=isinstance(told, str)).print(told, markup=False)


def _remember(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    ctx.ensure_object(Session).as_json = value


def json_option(command: Decorated) -> Decorated:
    """`--json`, for any command."""
    option = click.option(
        "--json", is_flag=True, expose_value=False, is_eager=True, callback=_remember,
        help="One JSON document on stdout, all else on stderr.",
    )  # fmt: skip
    return option(command)
