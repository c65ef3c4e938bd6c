"""Who is asking: every request under /v1, and for a page, is given an identity before it is answered.

A program sends its key as a bearer token. A browser keeps it in a cookie that no script can read; since browsers send
cookies whoever asks, what changes something must then carry the token that only our own pages know.
"""

import hmac

from flask import Flask, g, request

from service.core.errors import Forbidden, Unauthorized
from service.core.sql.api_keys import Identity, Scope, csrf_token
from service.services import services

DEFAULT_TENANT = "default"
ANYONE = Identity(DEFAULT_TENANT, frozenset({Scope.ADMIN}))  # without keys there is one tenant, on this machine only
GUARDED = "/v1/"
PAGES = "web"  # the blueprint of the pages
OPEN_PAGES = ("web.sign_in", "web.sign_out")
METRICS = "metrics"  # their endpoint, guarded where the settings say so
COOKIE = "rightfit_key"
CSRF_HEADER = "X-CSRF-Token"
READING = ("GET", "HEAD", "OPTIONS")
SCOPES = {  # of the endpoints that need another scope than their method says
    "predict.predict": Scope.READ,  # it changes nothing
    "web.new": Scope.WRITE,  # the form of a job is of no use to who may not submit one
    "webhooks.Secret": Scope.ADMIN,
    METRICS: Scope.ADMIN,
}


def register(app: Flask) -> None:
    app.before_request(_identify)


def tenant() -> str:
    """The tenant that this request's data belong to."""
    identity: Identity = g.identity
    return identity.tenant


def may(method: str, endpoint: str) -> bool:
    """Whether whoever is asking would be let in there; pages offer nothing else."""
    identity: Identity = g.get("identity", ANYONE)
    return identity.may(_needed(method, endpoint))


def _needed(method: str, endpoint: str) -> Scope:
    return SCOPES.get(endpoint, Scope.READ if method in READING else Scope.WRITE)


def _identify() -> None:
    """Raises Unauthorized without a valid key, Forbidden where it may not do this, TooMany where it asks too often."""
    if services().settings.auth == "none":
        g.identity = ANYONE
        return
    is_page = request.blueprint == PAGES and request.endpoint not in OPEN_PAGES
    is_metrics = request.endpoint == METRICS and services().settings.metrics == "keys"
    if not (is_page or is_metrics or request.path.startswith(GUARDED)):
        return
    g.identity = identity = services().keys.identify(_key())
    services().rates.hit(identity.key_id)
    needed = _needed(request.method, request.endpoint or "")
    if not identity.may(needed):
        raise Forbidden(f"that needs the scope {needed}; this key has: {', '.join(sorted(identity.scopes))}")


def _key() -> str:
    """The key that was sent, as a bearer token or by a browser. Raises Unauthorized, and Forbidden for what another
    site may have made a browser send.
    """
    given, kept = request.authorization, request.cookies.get(COOKIE)
    if given is not None and given.type == "bearer" and given.token:
        return given.token
    if given is not None or not kept:
        raise Unauthorized("send your API key: Authorization: Bearer rf_…")
    if request.method not in READING and not is_ours(kept, request.headers.get(CSRF_HEADER, "")):
        raise Forbidden(f"with the key in a cookie, the header {CSRF_HEADER} must have the token of a page of ours")
    g.cookie_key = kept
    return kept


def is_ours(key: str, token: str) -> bool:
    """Whether a token is the one that our pages have for this key."""
    return hmac.compare_digest(token.encode(), csrf_token(key).encode())
