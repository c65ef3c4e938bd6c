"""Signing in where there are keys: the key goes into a cookie that no script can read and no other site can use."""

from urllib.parse import urlsplit

from flask import make_response, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from service.core.errors import Forbidden, Unauthorized
from service.http.auth import COOKIE, is_ours
from service.services import services
from service.web.blueprint import blueprint, page

KEPT_SECONDS = 30 * 86400
LONGEST_KEY = 200
OWN_SITES = ("same-origin", "none")  # Sec-Fetch-Site, which browsers send and no page can forge


@blueprint.route("/sign-in", methods=["GET", "POST"])
def sign_in() -> AnyResponse:
    """Ask for the API key, check it and keep it"""
    wanted = _inside(request.values.get("next", ""))
    if services().settings.auth == "none":
        return redirect(wanted)
    if request.method == "GET":
        return make_response(page("sign_in", next=wanted, fault=None))
    if request.headers.get("Sec-Fetch-Site", "none") not in OWN_SITES:
        raise Forbidden("this form was not sent by a page of ours")
    key = request.form.get("key", "").strip()[:LONGEST_KEY]
    try:
        services().keys.identify(key)
    except Unauthorized as error:
        return make_response(page("sign_in", next=wanted, fault=str(error)), 401)
    answer = redirect(wanted, 303)
    answer.set_cookie(
        COOKIE, key, max_age=KEPT_SECONDS, path="/", secure=request.is_secure, httponly=True, samesite="Strict"
    )
    return answer


@blueprint.post("/sign-out")
def sign_out() -> AnyResponse:
    """Forget the key"""
    kept = request.cookies.get(COOKIE, "")
    if kept and not is_ours(kept, request.form.get("csrf", "")):
        raise Forbidden("this form was not sent by a page of ours")
    answer = redirect(url_for("web.sign_in"), 303)
    answer.delete_cookie(COOKIE, path="/", httponly=True, samesite="Strict")
    return answer


def _inside(address: str) -> str:
    """An address of this site, else the list of jobs."""
    parsed = urlsplit(address)
    is_ours_alone = address.startswith("/") and not parsed.scheme and not parsed.netloc and "\\" not in address
    return address if is_ours_alone and address.isprintable() else url_for("web.jobs")
