"""What went wrong, as a page that says what to do next, where the API would answer with a problem."""

import http

from flask import Response, make_response, redirect, request, url_for
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as AnyResponse

from service.core.errors import Invalid, RightfitError, TooMany, Unauthorized
from service.http.errors import STATUS
from service.web.blueprint import blueprint, page

NEXT = {
    403: "Try it again from the list of jobs, or sign in with a key that may do it.",
    404: "It may have been deleted, or it belongs to someone else. The list has everything there is.",
    422: "Go back and change what is named above.",
    429: "Wait a moment, then load the page again.",
    503: "Load the page again in a moment; jobs that run are not affected.",
}


@blueprint.errorhandler(Unauthorized)
def _sign_in(error: Exception) -> AnyResponse:
    wanted = request.full_path.rstrip("?") if request.method == "GET" else url_for("web.jobs")
    return redirect(url_for("web.sign_in", next=wanted))


@blueprint.errorhandler(RightfitError)
def _domain(error: Exception) -> AnyResponse:
    status = next((code for kind, code in STATUS.items() if isinstance(error, kind)), 500)
    said = [f"{fault.detail}; allowed: {fault.allowed}" for fault in error.faults] if isinstance(error, Invalid) else []
    answer = _told(status, said or [str(error)])
    if isinstance(error, TooMany):
        answer.headers["Retry-After"] = str(error.retry_after)
    return answer


@blueprint.errorhandler(HTTPException)
def _http(error: HTTPException) -> AnyResponse:
    if error.response is not None:  # a redirect to the address as it should be written
        return error.get_response()
    return _told(error.code or 500, [error.description or ""])


def _told(status: int, said: list[str]) -> Response:
    title = http.HTTPStatus(status).phrase
    return make_response(page("error", title=title, said=said, next=NEXT.get(status, "Go back and try again.")), status)
