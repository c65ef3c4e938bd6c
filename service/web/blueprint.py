"""The blueprint of all pages, with a policy that allows no content from other sites.

Open pages fetch themselves again every few seconds, with `Cache-Control: max-age`. Such an answer is the content
alone, without the header of the page, and it is made once for everyone who may see the same.
"""

from http import HTTPStatus
from time import monotonic
from typing import Any

from flask import Blueprint, Response, g, render_template, request

from service.core.sql.api_keys import csrf_token
from service.http.auth import may, tenant
from service.services import services

# No inline script or style, no content from other sites, no form that sends data to them.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
NAME = "web"
OLDEST = 60  # seconds, of the content that open pages share

blueprint = Blueprint(NAME, __name__, template_folder="templates")


@blueprint.before_request
def _kept() -> Response | None:
    """The content of a page that was made for another open page, if it is new enough for the request."""
    if not _max_age():
        return None
    g.content_key = _key()
    kept = services().answers.get(g.content_key)
    return Response(kept[0], mimetype=kept[1]) if kept else None


@blueprint.after_request
def _keep(response: Response) -> Response:
    if response.status_code == HTTPStatus.OK and (key := g.get("content_key")):
        services().answers.put(key, (response.get_data(), response.mimetype), response.content_length or 0)
    return response


def _max_age() -> int:
    """The age in seconds up to which the request accepts an answer, 0 if it is not of an open page."""
    age = request.cache_control.max_age
    is_open = request.method == "GET" and request.blueprint == NAME and "identity" in g
    return age if is_open and isinstance(age, int) and 0 < age <= OLDEST else 0


def _key() -> str:
    """What is shown depends on the tenant and the scopes; the links in it have the prefix of a proxy. A key is for the
    time at which the request began, so that content is not kept longer than that.
    """
    age, scopes = _max_age(), ",".join(sorted(g.identity.scopes))
    return f"{tenant()} {scopes} {request.script_root} {request.full_path} {age} {monotonic() // age}"


@blueprint.after_request
def restrict(response: Response) -> Response:
    """Set the policy of pages."""
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["Cache-Control"] = "private, no-store"
    return response


@blueprint.app_context_processor  # error pages stand at any address
def _session() -> dict[str, Any]:
    """Values for every page: with keys, the token for requests that change something; and the check of scopes."""
    key: str | None = g.get("cookie_key")
    identity = g.get("identity")
    return {
        "csrf": csrf_token(key) if key else "",
        "is_signed_in": bool(key),
        "tenant": identity and identity.tenant,
        "may": may,
        "is_content_alone": bool(_max_age()),
    }


def page(template: str, **values: Any) -> str:
    """Render the template of a page."""
    return render_template(f"{template}.html", **values)
