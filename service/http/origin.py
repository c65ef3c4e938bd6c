"""Refuses requests that a page of another site causes in the browser of a user who reaches this service.

The host of each request must be one of this service's: a name of another site that points at our address (DNS
rebinding) would make our answers readable for that site. A request that may change something must not come from a page
of another origin. The headers that tell this are set by browsers; programs that send neither are not affected.
"""

from collections.abc import Sequence
from functools import lru_cache

from flask import Flask, request

from service.core.errors import Forbidden, Misdirected
from service.core.settings import Settings
from service.core.text import shortened
from service.core.text.hosts import LOCALHOST, HostList, host_name, parse_address

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")  # they change nothing
OWN_SITES = (
    "same-origin",
    "none",
)  # values of Sec-Fetch-Site; "none": the user typed the address, or followed a bookmark
PROBES = ("/livez", "/readyz")  # supervisors use any host, or none; the answers say nothing but the state
KNOWN_HOSTS = 256  # hosts that requests named, with the result of the check
USUAL_PORTS = {"http": ":80", "https": ":443"}  # left out of an origin
LOOPBACK = ("127.0.0.1", "[::1]", LOCALHOST)  # as a message shows them


class OwnOrigin:
    """The hosts of this service, and the check of each request."""

    def __init__(self, settings: Settings) -> None:
        own = parse_address(settings.host)
        self._has_every_address = own is not None and own.is_unspecified
        self._own = HostList((LOCALHOST, str(own or settings.host.lower())))
        self._allowed = HostList.parse(settings.allowed_hosts)
        named = () if self._has_every_address else (settings.host,)
        self._answers = lru_cache(KNOWN_HOSTS)(self._is_own)
        self._shown = ", ".join(dict.fromkeys((*LOOPBACK, *named, *self._allowed.entries)))

    def register(self, app: Flask) -> None:
        app.before_request(self._check_host)
        app.before_request(_check_page)

    def _check_host(self) -> None:
        """Raises Misdirected for a host that is not ours."""
        hosts = (request.headers.get("Host", ""), *_absolute_form())
        given = next((host for host in hosts if not self._answers(host)), None)
        if request.path in PROBES or given is None:
            return
        raise Misdirected(
            f"the request is for the host {shortened(given)!r}; allowed: {self._shown}. If this service has another "
            "name, its operator adds the name to RIGHTFIT_ALLOWED_HOSTS, separated by commas"
        )

    def _is_own(self, given: str) -> bool:
        host = host_name(given)
        if host is None:
            return False
        address = parse_address(host)
        # No site can point an address at another machine, only a name.
        if address is not None and (address.is_loopback or self._has_every_address):
            return True
        return host in self._own or host in self._allowed


def _absolute_form() -> Sequence[str]:
    """The host in a request line like `GET http://host/path HTTP/1.1`; it counts beside Host (RFC 9112, 3.2.2)."""
    target = request.environ.get("RAW_URI", "/")
    return () if target.startswith(("/", "*")) else (target.partition("://")[2].partition("/")[0],)


def _check_page() -> None:
    """Raises Forbidden for a request of a page of another origin that may change something."""
    if request.method in SAFE_METHODS:
        return
    site, origin = request.headers.get("Sec-Fetch-Site", "none"), request.headers.get("Origin")
    own = f"{request.scheme}://{request.headers.get('Host', '')}".lower().removesuffix(USUAL_PORTS[request.scheme])
    if site not in OWN_SITES:
        raise Forbidden(
            f"a page of another origin sent this request (Sec-Fetch-Site: {shortened(site)}); allowed: {own}"
        )
    if origin is not None and origin.lower() != own:
        raise Forbidden(
            f"a page of another origin sent this request (Origin: {shortened(origin)}); allowed: {own}. "
            "Behind a proxy, set RIGHTFIT_TRUSTED_PROXIES to its address"
        )
