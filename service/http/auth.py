"""Authentication: every request for a page or under /v1 gets an identity, and its scopes are checked.

A program sends its key as a bearer token. A browser keeps the key in a cookie that no script can read. A browser sends
cookies with requests from other sites too, so a request that changes something also needs the token of our own pages.
"""

import hmac
from collections.abc import Callable

from flask import Flask, g, request

from service.core.errors import Forbidden, Unauthorized
from service.core.sql.api_keys import Identity, Scope, csrf_token
from service.http.origin import SAFE_METHODS
from service.services import services

DEFAULT_TENANT = "default"
ANYONE = Identity(DEFAULT_TENANT, frozenset({Scope.ADMIN}))  # without keys there is one tenant
GUARDED = "/v1/"
PAGES = "web"  # name of the blueprint of the pages
OPEN_PAGES = ("web.sign_in", "web.sign_out")
METRICS = "metrics"  # endpoint, protected with RIGHTFIT_METRICS=keys
# Forms that are sent without the token: a form cannot send a header, and these change nothing.
PLAIN_FORMS = ("web.try_picture", "web.diagnose")
COOKIE = "rightfit_key"
CSRF_HEADER = "X-CSRF-Token"
SCOPES = {  # of endpoints whose scope does not follow from the method
    "predict.predict": Scope.READ,  # a POST that changes nothing
    "diagnoses.diagnoses": Scope.READ,  # likewise
    "web.try_picture": Scope.READ,
    "web.diagnose": Scope.READ,
    "web.new": Scope.WRITE,  # the form is useless without the right to submit
    "webhooks.Secret": Scope.ADMIN,
    METRICS: Scope.ADMIN,
}


def register(app: Flask) -> None:
    app.before_request(_identify)


def tenant() -> str:
    """The tenant of this request."""
    identity: Identity = g.identity
    return identity.tenant


def may(method: str, endpoint: str) -> bool:
    """Whether the identity of this request may use an endpoint. Pages offer only those."""
    identity: Identity = g.get("identity", ANYONE)
    return identity.may(_needed(method, endpoint))


def key_check() -> Callable[[], bool]:
    """A function that says whether the key of this request is still valid, for an answer that takes long."""
    key, keys = g.get("key"), services().keys

    def is_valid() -> bool:
        try:
            return key is None or bool(keys.identify(key))
        except Unauthorized:
            return False

    return is_valid


def _needed(method: str, endpoint: str) -> Scope:
    return SCOPES.get(endpoint, Scope.READ if method in SAFE_METHODS else Scope.WRITE)


def _identify() -> None:
    """Raises Unauthorized without a valid key, Forbidden without the scope, TooMany over the rate limit."""
    if services().settings.auth == "none":
        g.identity = ANYONE
        return
    is_page = request.blueprint == PAGES and request.endpoint not in OPEN_PAGES
    is_metrics = request.endpoint == METRICS and services().settings.metrics == "keys"
    if not (is_page or is_metrics or request.path.startswith(GUARDED)):
        return
    g.key = _key()
    g.identity = identity = services().keys.identify(g.key)
    services().rate_limit.hit(identity.key_id)
    needed = _needed(request.method, request.endpoint or "")
    if not identity.may(needed):
        raise Forbidden(f"this needs the scope {needed}; this key has: {', '.join(sorted(identity.scopes))}")


def _key() -> str:
    """The key from the bearer token or the cookie.

    Raises Unauthorized, and Forbidden for a request that another site may have caused.
    """
    given, kept = request.authorization, request.cookies.get(COOKIE)
    if given is not None and given.type == "bearer" and given.token:
        return given.token
    if given is not None or not kept:
        raise Unauthorized("send your API key: Authorization: Bearer rf_…")
    is_change = request.method not in SAFE_METHODS and request.endpoint not in PLAIN_FORMS
    if is_change and not is_ours(kept, request.headers.get(CSRF_HEADER, "")):
        raise Forbidden(f"a request with a cookie needs the token of a page in the header {CSRF_HEADER}")
    g.cookie_key = kept
    return kept


def is_ours(key: str, token: str) -> bool:
    """Whether a token is the one in our pages for this key."""
    return hmac.compare_digest(token.encode(), csrf_token(key).encode())
