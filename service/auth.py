"""Who is asking: the tenant that a request's data belong to."""

DEFAULT_TENANT = "default"


def tenant() -> str:
    """Without keys (AUTH=none) there is one tenant."""
    return DEFAULT_TENANT
