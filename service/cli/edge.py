"""Where every error becomes words and an exit code that a script can use."""

import json
import traceback
from typing import IO, Any

import click
import httpx

from service.cli.session import Session
from service.client import ApiError, Damaged
from service.core.errors import RightfitError

FAILED, REFUSED, UNREACHABLE, INTERNAL, INTERRUPTED = 1, 3, 4, 5, 130
SERVER_ERRORS = 500  # and above


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

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except KeyboardInterrupt:
            raise click.exceptions.Exit(INTERRUPTED) from None
        except BrokenPipeError:  # whoever read the output has gone; click ends quietly
            raise
        except Exception as error:
            words, code, document = _told(error, ctx)
            raise Failed(words, code, document if _wants_json(ctx) else None) from error


def _told(error: Exception, ctx: click.Context) -> tuple[str, int, Any]:
    """Words, exit code, and the error as JSON."""
    if isinstance(error, ApiError):
        code = INTERNAL if error.status >= SERVER_ERRORS else REFUSED
        return str(error), code, error.problem
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


def _wants_json(ctx: click.Context) -> bool:
    return isinstance(ctx.obj, Session) and ctx.obj.as_json
