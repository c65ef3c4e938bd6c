"""Signing in with an API key, which is kept in a cookie that no script can read and no other site can use."""

from urllib.parse import urlsplit

from flask import make_response, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from service.core.errors import Forbidden, Unauthorized
from service.core.text import DAY
from service.http.auth import COOKIE, is_ours
from service.services import services
from service.web.blueprint import blueprint, page

KEPT_SECONDS = 30 * DAY
LONGEST_KEY = 200


@blueprint.route("/sign-in", methods=["GET", "POST"])
def sign_in() -> AnyResponse:
    """Show the form, check the API key and set the cookie"""
    target = _inside(request.values.get("next", ""))
    if services().settings.auth == "none":
        return redirect(target)
    if request.method != "POST":
        return make_response(page("sign_in", next=target, fault=None))
    key = request.form.get("key", "").strip()[:LONGEST_KEY]
    try:
        services().keys.identify(key)
    except Unauthorized as error:
        return make_response(page("sign_in", next=target, fault=str(error)), 401)
    answer = redirect(target, 303)
    answer.set_cookie(
        COOKIE, key, max_age=KEPT_SECONDS, path=_root(), secure=request.is_secure, httponly=True, samesite="Strict"
    )
    return answer


@blueprint.post("/sign-out")
def sign_out() -> AnyResponse:
    """Delete the cookie"""
    kept = request.cookies.get(COOKIE, "")
    if kept and not is_ours(kept, request.form.get("csrf", "")):
        raise Forbidden("this form was not sent by a page of this site")
    answer = redirect(url_for("web.sign_in"), 303)
    answer.delete_cookie(COOKIE, path=_root(), httponly=True, samesite="Strict")
    return answer


def _root() -> str:
    """The path above all pages: the prefix that a proxy adds."""
    return request.script_root or "/"


def _inside(address: str) -> str:
    """The address if it is of this site, else the list of jobs."""
    parsed = urlsplit(address)
    is_ours_alone = address.startswith("/") and not parsed.scheme and not parsed.netloc and "\\" not in address
    return address if is_ours_alone and address.isprintable() else url_for("web.jobs")
