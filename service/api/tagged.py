"""Answers that stay the same under one ETag: an unchanged one has no body, and a body is made once for all who poll."""

from collections.abc import Callable
from http import HTTPStatus

from flask import Response, request

from service.http.auth import tenant
from service.services import services


def tagged(tag: str, make: Callable[[], tuple[str, Response]]) -> Response:
    """The answer to a GET of what has the ETag `tag`: 304 if the client has it, else what was made under this tag.

    `make` reads the resource anew and returns its tag, which may be a later one, with the answer.
    """
    if request.if_none_match.contains_weak(tag):
        answer = Response(status=HTTPStatus.NOT_MODIFIED)
    else:
        kept = services().answers.get(_key(tag))
        if kept is None:
            tag, made = make()
            kept = made.get_data(), made.mimetype
            services().answers.put(_key(tag), kept, len(kept[0]))
        answer = Response(kept[0], mimetype=kept[1])
    answer.set_etag(tag)
    if request.if_match:
        answer.make_conditional(request)
    return answer


def _key(tag: str) -> str:
    """The links in an answer have the prefix of a proxy."""
    return f"{tenant()} {request.script_root} {request.full_path} {tag}"
