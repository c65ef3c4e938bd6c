"""Refuses bodies with a content coding: they would be stored and parsed as they are, and limits count sent bytes."""

from collections.abc import Iterable
from typing import Any

from flask import Flask, request
from werkzeug.exceptions import UnsupportedMediaType

from service.core.text import shortened

IDENTITY = "identity"


class ContentEncodingRefused(UnsupportedMediaType):
    """415 with the header Accept-Encoding, which names the accepted coding (RFC 9110, section 15.5.16)."""

    def get_headers(self, *args: Any, **kwargs: Any) -> list[tuple[str, str]]:
        return [*super().get_headers(*args, **kwargs), ("Accept-Encoding", IDENTITY)]


def register(app: Flask) -> None:
    """Check every request that has a body."""
    app.before_request(_refuse_encoded_body)


def _refuse_encoded_body() -> None:
    has_body = bool(request.content_length) or "Transfer-Encoding" in request.headers
    given = request.headers.get("Content-Encoding", "")
    if has_body and any(_codings(given)):
        raise ContentEncodingRefused(
            f"the Content-Encoding is {shortened(given)}; allowed: none. Send the body as it is, without this header"
        )


def _codings(header: str) -> Iterable[str]:
    """The codings that change the body."""
    return (coding for word in header.split(",") if (coding := word.strip().lower()) not in ("", IDENTITY))
