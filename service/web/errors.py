"""Errors as pages that say what to do next."""

import http

from flask import Response, make_response, redirect, request, url_for
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as AnyResponse

from service.core.errors import Invalid, RightfitError, TooMany, Unauthorized
from service.http.errors import STATUS, bounded, without_long_words
from service.http.links import local
from service.web.blueprint import blueprint, page

NEXT = {
    403: "Go back to the list of jobs, or sign in with a key that has the scope.",
    404: "It was deleted, or it belongs to another tenant. The list of jobs shows all of yours.",
    421: "Use one of the addresses above.",
    422: "Go back and correct the values above.",
    429: "Wait a moment, then load the page again.",
    503: "Load the page again in a moment. Running jobs are not affected.",
}


@blueprint.errorhandler(Unauthorized)
def _sign_in(error: Exception) -> AnyResponse:
    address = local(request.full_path.rstrip("?")) if request.method == "GET" else url_for("web.jobs")
    return redirect(url_for("web.sign_in", next=address))


@blueprint.errorhandler(RightfitError)
def _domain(error: Exception) -> AnyResponse:
    status = next((code for kind, code in STATUS.items() if isinstance(error, kind)), 500)
    faults = error.faults if isinstance(error, Invalid) else ()
    messages = [f"{fault.detail}; allowed: {fault.allowed}" for fault in map(bounded, faults)] or [str(error)]
    answer = _page(status, messages)
    if isinstance(error, TooMany):
        answer.headers["Retry-After"] = str(error.retry_after)
    return answer


@blueprint.errorhandler(HTTPException)
def _http(error: HTTPException) -> AnyResponse:
    if error.response is not None:  # a redirect to the canonical address
        return error.get_response()
    return _page(error.code or 500, [error.description or ""])


def _page(status: int, messages: list[str]) -> Response:
    title, advice = http.HTTPStatus(status).phrase, NEXT.get(status, "Go back and try again.")
    shown = [without_long_words(message) for message in messages]
    return make_response(page("error", title=title, messages=shown, next=advice), status)
