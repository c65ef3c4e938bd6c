"""Errors of the core and of HTTP as application/problem+json (RFC 9457)."""

import http
import json
import logging
import re
from collections.abc import Sequence
from dataclasses import replace

from flask import Flask, Response, g, request
from gunicorn.http.errors import NoMoreData, ParseException
from werkzeug.exceptions import HTTPException, MethodNotAllowed, RequestEntityTooLarge

from service.core.errors import (
    Conflict,
    DatabaseError,
    DatabaseUnavailable,
    DiskFull,
    Fault,
    Forbidden,
    Invalid,
    KeyReused,
    Misdirected,
    NotFound,
    RightfitError,
    SchemaOutdated,
    StorageError,
    TooMany,
    Unauthorized,
)
from service.core.text import MAX_ECHO, shortened

STATUS: dict[type[RightfitError], int] = {
    Unauthorized: 401,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    Misdirected: 421,
    Invalid: 422,
    KeyReused: 422,
    TooMany: 429,
    DiskFull: 507,
    StorageError: 503,
}
PROBLEM = "application/problem+json"
RETRY_AFTER_SECONDS = 2
LONG_WORD = re.compile(rf"\S{{{MAX_ECHO + 1},}}")  # our own messages have none

log = logging.getLogger(__name__)


def problem(status: int, code: str, detail: str, errors: Sequence[Fault] = ()) -> Response:
    """A response with one problem. It repeats at most MAX_ECHO characters of any part of the request."""
    body: dict[str, object] = {
        "type": "about:blank",
        "title": http.HTTPStatus(status).phrase,
        "status": status,
        "detail": without_long_words(detail),
        "code": code,
        "request_id": g.get("request_id", ""),
    }
    if errors:
        body["errors"] = [
            {"pointer": fault.pointer, "detail": fault.detail, "allowed": fault.allowed} for fault in errors
        ]
    return Response(json.dumps(body), status, mimetype=PROBLEM)


def without_long_words(text: str) -> str:
    """The text, its words cut to MAX_ECHO characters: a longer one repeats the request."""
    return LONG_WORD.sub(lambda word: shortened(word[0]), text)


def bounded(fault: Fault) -> Fault:
    """The fault, its pointer and its detail cut to MAX_ECHO characters."""
    return replace(fault, pointer=shortened(fault.pointer), detail=shortened(fault.detail))


def register(app: Flask) -> None:
    """Handle every error. Called last, so that these handlers replace those of libraries."""
    app.register_error_handler(RightfitError, _domain)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(DatabaseUnavailable, _database)
    app.register_error_handler(SchemaOutdated, _schema)
    app.register_error_handler(DatabaseError, _unexpected)
    app.register_error_handler(Exception, _unexpected)
    app.register_error_handler(ParseException, _malformed)
    app.register_error_handler(NoMoreData, _malformed)
    app.before_request(_any_match)
    app.after_request(_precondition)


def _domain(error: RightfitError) -> Response:
    status = next((s for kind, s in STATUS.items() if isinstance(error, kind)), 500)
    if status >= http.HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("request %s: %s", g.get("request_id"), error, exc_info=error)
    if isinstance(error, Invalid):
        count = f"{len(error.faults)} faults" if len(error.faults) > 1 else "1 fault"
        summary = Invalid([bounded(fault) for fault in error.faults])
        return problem(status, error.code, f"{count} in the request: {summary}", summary.faults)
    answer = _retry_later(problem(status, error.code, str(error)))
    if isinstance(error, TooMany):
        answer.headers["Retry-After"] = str(error.retry_after)
    if isinstance(error, Unauthorized):
        answer.headers["WWW-Authenticate"] = 'Bearer realm="rightfit"'
    return answer


def _http(error: HTTPException) -> Response:
    if error.response is not None and isinstance(error.response, Response):
        return error.response
    status = error.code or 500
    detail = str(error.description)
    if detail == RequestEntityTooLarge.description and request.max_content_length:  # werkzeug's words have no number
        detail = f"the body is too large; allowed: {request.max_content_length:,} bytes"
    if isinstance(error, MethodNotAllowed):  # likewise, no methods
        detail = f"{request.method} is not allowed here; allowed: {', '.join(sorted(error.valid_methods or ()))}"
    answer = problem(status, http.HTTPStatus(status).name.lower(), detail)
    for name, value in error.get_headers():
        if name.lower() not in ("content-type", "content-length"):
            answer.headers[name] = value
    return _retry_later(answer)


def _database(error: DatabaseUnavailable) -> Response:
    log.error("request %s: %s", g.get("request_id"), error)
    return _retry_later(problem(503, error.code, "the database cannot be used right now; try again"))


def _schema(error: SchemaOutdated) -> Response:
    log.error("request %s: the schema is not of this version; run `rightfit migrate`: %s", g.get("request_id"), error)
    return _retry_later(problem(503, error.code, "the database is not set up for this version yet"))


def _retry_later(answer: Response) -> Response:
    if answer.status_code == http.HTTPStatus.SERVICE_UNAVAILABLE:
        answer.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return answer


def _malformed(error: Exception) -> Response:
    log.info("request %s: %s", g.get("request_id"), shortened(str(error)))
    return problem(400, "bad_request", "the body is not well-formed: a chunk of it is malformed, or it ends too early")


def _any_match() -> None:
    """`If-Match: *` matches every existing resource."""
    if request.headers.get("If-Match", "").strip() == "*":
        request.environ.pop("HTTP_IF_MATCH")


def _precondition(answer: Response) -> Response:
    """Replace the body that werkzeug sends with a failed If-Match."""
    if answer.status_code == http.HTTPStatus.PRECONDITION_FAILED and answer.mimetype != PROBLEM:
        answer.close()
        return problem(412, "precondition_failed", "If-Match does not match the present version")
    return answer


def _unexpected(error: Exception) -> Response:
    log.exception("request %s failed", g.get("request_id"), exc_info=error)
    return problem(500, "internal_error", "internal error; search the log for this request id")
