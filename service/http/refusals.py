"""Answers of the server itself, to requests that do not reach the application. They repeat no part of a request."""

import http
import json
from uuid import uuid4

from gunicorn.http.errors import (
    ExpectationFailed,
    InvalidResponseHeader,
    InvalidResponseHeaderName,
    LimitRequestHeaders,
    LimitRequestLine,
    ParseException,
    UnsupportedTransferCoding,
)

OURS = (InvalidResponseHeader, InvalidResponseHeaderName)  # faults of the application, not of the request
UNREADABLE = (  # the answer to a request that gunicorn cannot read, by its error; the last one fits each
    (LimitRequestLine, http.HTTPStatus.REQUEST_URI_TOO_LONG, "the address is too long"),
    (
        LimitRequestHeaders,
        http.HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
        "there are too many headers, or too long ones",
    ),
    (ExpectationFailed, http.HTTPStatus.EXPECTATION_FAILED, "the header Expect is unknown; allowed: 100-continue"),
    (UnsupportedTransferCoding, http.HTTPStatus.NOT_IMPLEMENTED, "unknown Transfer-Encoding; allowed: chunked"),
    (
        ParseException,
        http.HTTPStatus.BAD_REQUEST,
        "the request is not well-formed; allowed: requests as defined by RFC 9112",
    ),
)


def is_unreadable(error: Exception) -> bool:
    """Whether gunicorn's error is a fault of the request."""
    return isinstance(error, ParseException) and not isinstance(error, OURS)


def refusal_of(error: Exception) -> tuple[http.HTTPStatus, str]:
    """The status and the detail for a request that is unreadable by this error."""
    return next((status, detail) for kind, status, detail in UNREADABLE if isinstance(error, kind))


def problem(status: http.HTTPStatus, detail: str) -> bytes:
    """An answer in the shape of service.http.errors, after which the connection closes."""
    request_id = uuid4().hex
    body = json.dumps(
        {
            "type": "about:blank",
            "title": status.phrase,
            "status": status,
            "detail": detail,
            "code": status.name.lower(),
            "request_id": request_id,
        }
    )
    head = [
        f"HTTP/1.1 {status} {status.phrase}",
        "Content-Type: application/problem+json",
        f"Content-Length: {len(body)}",
        f"X-Request-Id: {request_id}",
        "Connection: close",
    ]
    return "\r\n".join([*head, "", body]).encode()
