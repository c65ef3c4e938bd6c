"""Errors as pages that say what to do next."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from flask import Flask, Response, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from service.core.errors import Unauthorized
from service.http.errors import PROBLEM
from service.http.links import local
from service.web.blueprint import NAME, blueprint, page, restrict

NEXT = {
    401: "Sign in with an API key.",
    403: "Go back, or sign in with a key that has the scope.",
    404: "Check the address.",
    405: "Go back and use the buttons and links of the page.",
    413: "Go back and send less at once.",
    421: "Use one of the addresses above.",
    422: "Go back and correct the values above.",
    429: "Wait a moment, then load the page again.",
    503: "Load the page again in a moment. Running jobs are not affected.",
}
GONE = "It was deleted, or it belongs to another tenant. "


@dataclass(frozen=True)
class Place:
    """Where an error page leads: a view and its arguments, the words of the link, and advice on what is missing."""

    endpoint: str
    link: str
    missing: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


JOBS = Place("web.jobs", "To the jobs", GONE + "The list of jobs shows all of yours.")
FITS = Place("web.fits", "To the fits", GONE + "The list of fits shows all of yours.")
DATASETS = Place("web.datasets", "To the data sets", GONE + "The list of data sets shows all of yours.")
API = Place("api-docs.openapi_swagger_ui", "To the API", GONE + "The page of the API lists all addresses.")
PLACES = {  # by the beginning of the address, the longer ones first
    "/v1/jobs": JOBS,
    "/v1/fits": FITS,
    "/v1/datasets": DATASETS,
    "/v1": API,
    "/fits": FITS,
    "/datasets": DATASETS,
    "/docs": Place("pages.page", "To the documentation", "The contents list all pages.", {"address": "index"}),
}


def register(app: Flask) -> None:
    """Answer browsers with pages. Called last: then it runs before the functions that add headers."""
    app.after_request(_as_page)


@blueprint.errorhandler(Unauthorized)
def _sign_in(error: Exception) -> AnyResponse:
    return redirect(url_for("web.sign_in", next=_here()))


def _as_page(response: Response) -> Response:
    """Turn a problem document into a page, unless it answers a program."""
    if response.mimetype != PROBLEM:
        return response
    response.vary.add("Accept")
    if request.blueprint != NAME and not _prefers_pages():
        return response
    problem = json.loads(response.get_data())
    response.set_data(_page(problem))
    response.mimetype = "text/html"
    return restrict(response)


def _prefers_pages() -> bool:
    accepted = request.accept_mimetypes
    return accepted["text/html"] > max(accepted[PROBLEM], accepted["application/json"])


def _page(problem: Mapping[str, Any]) -> str:
    """The page of a problem document."""
    status, faults = problem["status"], problem.get("errors", ())
    place = _place(status)
    is_missing = status == HTTPStatus.NOT_FOUND and request.url_rule is not None  # there is such a page, for others
    return page(
        "error",
        status=status,
        title=problem["title"],
        messages=[f"{fault['detail']}; allowed: {fault['allowed']}" for fault in faults] or [problem["detail"]],
        next=place.missing if is_missing else NEXT.get(status, "Go back and try again."),
        link=place.link,
        address=url_for(place.endpoint, **place.arguments),
        request_id=problem["request_id"] if status >= HTTPStatus.INTERNAL_SERVER_ERROR else None,
    )


def _place(status: int) -> Place:
    """Where the page of an error leads."""
    if status == HTTPStatus.UNAUTHORIZED:
        return Place("web.sign_in", "Sign in", "", {"next": _here()})
    return next((place for start, place in PLACES.items() if request.path.startswith(start)), JOBS)


def _here() -> str:
    """The address to open after signing in."""
    return local(request.full_path.rstrip("?")) if request.method == "GET" else url_for("web.jobs")
