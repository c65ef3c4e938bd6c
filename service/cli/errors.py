"""Where every error becomes words and an exit code that a script can use."""

import json
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import click
import httpx

from service.cli.session import Session
from service.client import ApiError, Damaged, NotRightfit
from service.core.errors import RightfitError

FAILED, REFUSED, UNREACHABLE, INTERNAL, INTERRUPTED = 1, 3, 4, 5, 130
SERVER_ERRORS = 500  # and above
AS_JSON = "rightfit.as_json"  # of the context's notes


class Failed(click.ClickException):
    """The command ends with these words, this exit code and, under --json, this document."""

    def __init__(self, words: str, exit_code: int, document: Any = None) -> None:
        super().__init__(words)
        self.exit_code = exit_code  # type: ignore[misc]  # click reads it of the instance too
        self.document = document

    def show(self, file: IO[Any] | None = None) -> None:
        super().show(file)
        if self.document is not None:
            click.echo(json.dumps(self.document, indent=2, ensure_ascii=False))


class Edge(click.Group):
    """A group whose commands may raise what the client raises."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta[AS_JSON] = "--json" in args  # told before any of them may be found wrong
        with _usage_told(ctx):
            return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with _usage_told(ctx):
                return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except KeyboardInterrupt:
            raise click.exceptions.Exit(INTERRUPTED) from None
        except BrokenPipeError:  # whoever read the output has gone; click ends quietly
            raise
        except Exception as error:
            words, code, document = _told(error, ctx)
            raise Failed(words, code, document if ctx.meta[AS_JSON] else None) from error


@contextmanager
def _usage_told(ctx: click.Context) -> Iterator[None]:
    """Under --json a wrong command line is a document too; click says it in words."""
    try:
        yield
    except click.UsageError as error:
        if ctx.meta[AS_JSON]:
            click.echo(json.dumps(_document("usage", error.format_message()), indent=2, ensure_ascii=False))
        raise


def _told(error: Exception, ctx: click.Context) -> tuple[str, int, Any]:
    """Words, exit code, and the error as JSON."""
    if isinstance(error, ApiError):
        code = INTERNAL if error.status >= SERVER_ERRORS else REFUSED
        advice = "\nSet RIGHTFIT_API_KEY to your API key" if error.status == httpx.codes.UNAUTHORIZED else ""
        return str(error) + advice, code, error.problem
    if isinstance(error, NotRightfit):
        words = f"{error}; RIGHTFIT_URL says where one is"
        return words, INTERNAL, _document("not_rightfit", words)
    if isinstance(error, httpx.TransportError):
        url = ctx.obj.url if isinstance(ctx.obj, Session) else ""
        words = f"{url} cannot be reached ({error}); is it running? `rightfit serve` starts one, RIGHTFIT_URL names it"
        return words, UNREACHABLE, _document("unreachable", words)
    if isinstance(error, Damaged):
        return str(error), INTERNAL, _document("damaged", str(error))
    if isinstance(error, RightfitError):
        return str(error), FAILED, _document(error.code, str(error))
    if isinstance(error, OSError | ValueError):
        return str(error), FAILED, _document("failed", str(error))
    traceback.print_exception(error)
    return f"an error of this program: {error}", INTERNAL, _document("internal_error", repr(error))


def _document(code: str, detail: str) -> dict[str, str]:
    return {"code": code, "detail": detail}
