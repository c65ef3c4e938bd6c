"""Turns every error of a command into a message and an exit code."""

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
SERVER_ERRORS = 500  # the lowest status
AS_JSON = "rightfit.as_json"  # key in ctx.meta


class Failed(click.ClickException):
    """Ends the command with a message, an exit code and, under --json, a document."""

    def __init__(self, message: str, exit_code: int, document: Any = None) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc]  # click reads it of the instance too
        self.document = document

    def show(self, file: IO[Any] | None = None) -> None:
        super().show(file)
        if self.document is not None:
            click.echo(json.dumps(self.document, indent=2, ensure_ascii=False))


class ErrorHandlingGroup(click.Group):
    """A group that handles the errors of its commands: a command may raise any error of the client or the core."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta[AS_JSON] = "--json" in args  # needed before the arguments are parsed, which may fail
        with _usage_errors_as_json(ctx):
            return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with _usage_errors_as_json(ctx):
                return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except KeyboardInterrupt:
            raise click.exceptions.Exit(INTERRUPTED) from None
        except BrokenPipeError:  # the reader of the output has ended; click exits without a message
            raise
        except Exception as error:
            message, code, document = _explain(error, ctx)
            raise Failed(message, code, document if ctx.meta[AS_JSON] else None) from error


@contextmanager
def _usage_errors_as_json(ctx: click.Context) -> Iterator[None]:
    """Under --json print a usage error as a document too; click prints its message to stderr."""
    try:
        yield
    except click.UsageError as error:
        if ctx.meta[AS_JSON]:
            click.echo(json.dumps(_document("usage", error.format_message()), indent=2, ensure_ascii=False))
        raise


def _explain(error: Exception, ctx: click.Context) -> tuple[str, int, Any]:
    """The message, the exit code and the JSON document of an error."""
    if isinstance(error, ApiError):
        code = INTERNAL if error.status >= SERVER_ERRORS else REFUSED
        remedy = "\nSet RIGHTFIT_API_KEY to your API key" if error.status == httpx.codes.UNAUTHORIZED else ""
        return str(error) + remedy, code, error.problem
    if isinstance(error, NotRightfit):
        message = f"{error}; set RIGHTFIT_URL to the address of a service"
        return message, INTERNAL, _document("not_rightfit", message)
    if isinstance(error, httpx.TransportError):
        url = ctx.obj.url if isinstance(ctx.obj, Session) else ""
        remedy = "start a service with `rightfit serve`, or set RIGHTFIT_URL to the address of one"
        message = f"{url} cannot be reached ({error}); {remedy}"
        return message, UNREACHABLE, _document("unreachable", message)
    if isinstance(error, Damaged):
        return str(error), INTERNAL, _document("damaged", str(error))
    if isinstance(error, RightfitError):
        return str(error), FAILED, _document(error.code, str(error))
    if isinstance(error, OSError | ValueError):
        return str(error), FAILED, _document("failed", str(error))
    traceback.print_exception(error)
    return f"unexpected error in this program: {error}", INTERNAL, _document("internal_error", repr(error))


def _document(code: str, detail: str) -> dict[str, str]:
    return {"code": code, "detail": detail}
