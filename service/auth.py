"""Who is asking: every request under /v1 is given an identity before it is answered."""

from flask import Flask, g, request

from service.api.context import parts
from service.core.errors import Forbidden, Unauthorized
from service.core.keys import Identity, Scope

DEFAULT_TENANT = "default"
ANYONE = Identity(DEFAULT_TENANT, frozenset({Scope.ADMIN}))  # without keys there is one tenant, on this machine only
GUARDED = "/v1/"
READING = ("GET", "HEAD", "OPTIONS")
READS_BY_POST = ("predict.predict",)  # endpoints that change nothing
FOR_ADMINS = ("webhooks.Secret",)


def register(app: Flask) -> None:
    app.before_request(_identify)


def tenant() -> str:
    """The tenant that this request's data belong to."""
    identity: Identity = g.identity
    return identity.tenant


def _identify() -> None:
    """Raises Unauthorized without a valid key, Forbidden where it may not do this, TooMany where it asks too often."""
    if parts().settings.auth == "none":
        g.identity = ANYONE
        return
    if not request.path.startswith(GUARDED):
        return
    given = request.authorization
    if given is None or given.type != "bearer" or not given.token:
        raise Unauthorized("send your API key: Authorization: Bearer rf_…")
    identity = parts().keys.identify(given.token)
    parts().rates.hit(identity.key_id)
    needed = Scope.READ if request.method in READING or request.endpoint in READS_BY_POST else Scope.WRITE
    if request.endpoint in FOR_ADMINS:
        needed = Scope.ADMIN
    if not identity.may(needed):
        raise Forbidden(f"this key may not {needed}; its scopes: {', '.join(sorted(identity.scopes))}")
    g.identity = identity
