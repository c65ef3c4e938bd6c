"""Every error, of the domain or of HTTP, becomes one shape: application/problem+json (RFC 9457)."""

import http
import json
import logging
from collections.abc import Sequence

from flask import Flask, Response, g, request
from marshmallow import Schema
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException

from service.core.errors import Conflict, Fault, Invalid, NotFound, RightfitError
from service.schemas.problem import faults

STATUS: dict[type[RightfitError], int] = {NotFound: 404, Conflict: 409, Invalid: 422}
RETRY_AFTER_SECONDS = 2

log = logging.getLogger(__name__)


def problem(status: int, code: str, detail: str, errors: Sequence[Fault] = ()) -> Response:
    """One problem as an answer."""
    body: dict[str, object] = {
        "type": "about:blank",
        "title": http.HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
        "request_id": g.get("request_id", ""),
    }
    if errors:
        body["errors"] = [vars(fault) for fault in errors]
    return Response(json.dumps(body), status, mimetype="application/problem+json")


def register(app: Flask) -> None:
    """Answer errors of every kind. Registered last, so that it has the word over libraries' own handlers."""
    app.register_error_handler(RightfitError, _domain)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(OperationalError, _database)
    app.register_error_handler(PoolTimeout, _database)
    app.register_error_handler(Exception, _unexpected)


def _domain(error: RightfitError) -> Response:
    status = next((s for kind, s in STATUS.items() if isinstance(error, kind)), 500)
    if status == http.HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("request %s: %s", g.get("request_id"), error, exc_info=error)
    return problem(status, error.code, str(error), error.faults if isinstance(error, Invalid) else ())


def _http(error: HTTPException) -> Response:
    if error.response is not None and isinstance(error.response, Response):
        return error.response
    status = error.code or 500
    data = getattr(error, "data", None) or {}
    found: tuple[Fault, ...] = ()
    if isinstance(schema := data.get("schema"), Schema):
        found = tuple(
            fault for part in data["messages"].values() for fault in faults(part, schema, request.get_json(silent=True))
        )
    if status == http.HTTPStatus.BAD_REQUEST and "json" in data.get("messages", {}):
        error.description = "the body is not valid JSON"
    code = "invalid" if found else http.HTTPStatus(status).name.lower()
    detail = (
        f"{len(found)} fault{'s' if len(found) > 1 else ''} in the request, each in errors"
        if found
        else error.description
    )
    answer = problem(status, code, str(detail), found)
    for name, value in error.get_headers():
        if name.lower() not in ("content-type", "content-length"):
            answer.headers[name] = value
    return answer


def _database(error: OperationalError | PoolTimeout) -> Response:
    log.error("request %s: %s", g.get("request_id"), error)
    answer = problem(503, "database_unavailable", "the database cannot be used right now; try again")
    answer.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return answer


def _unexpected(error: Exception) -> Response:
    log.exception("request %s failed", g.get("request_id"), exc_info=error)
    return problem(500, "internal_error", "an error of ours; the request id finds it in the log")
