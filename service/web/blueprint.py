"""The blueprint of all pages, with a policy that allows no content from other sites."""

from typing import Any

from flask import Blueprint, Response, g, render_template

from service.core.sql.api_keys import csrf_token
from service.http.auth import may

# No inline script or style, no content from other sites, no form that sends data to them.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
NAME = "web"

blueprint = Blueprint(NAME, __name__, template_folder="templates")


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
    }


def page(template: str, **values: Any) -> str:
    """Render the template of a page."""
    return render_template(f"{template}.html", **values)
