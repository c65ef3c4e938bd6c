"""Which addresses webhooks may call: not this machine or private networks, unless a setting allows them.

A name is resolved once, all its addresses are checked, and the request goes to one of them: a second lookup could
return another address (DNS rebinding).
"""

import re
import socket
from collections.abc import Sequence
from ipaddress import IPv4Address
from urllib.parse import urlsplit

from service.core.errors import Fault, Refused
from service.core.text import shortened
from service.core.text.hosts import LOCALHOST, Address, Network, is_within, networks, parse_address

PORTS = {"http": 80, "https": 443}
LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
NAME = re.compile(rf"{LABEL}(?:\.{LABEL})*\.?", re.ASCII)
LONGEST_NAME = 253  # characters (RFC 1035, section 3.1, without the length bytes of the root)
UNSENDABLE = re.compile(r"[^\x21-\x7e]")  # a request line has visible ASCII characters only (RFC 9112, section 3)
SHOWN = 60  # characters of a host that an error message repeats
# Python's is_global depends on its release: 3.11 passes some of these. The lists are those of IANA's registries of
# special-purpose addresses (RFC 6890 and its updates) and of multicast, without the exceptions: what has a special
# purpose is no receiver of webhooks.
SPECIAL_IPV4 = networks(
    "0.0.0.0/8, 10.0.0.0/8, 100.64.0.0/10, 127.0.0.0/8, 169.254.0.0/16, 172.16.0.0/12, 192.0.0.0/24, 192.0.2.0/24, "
    "192.31.196.0/24, 192.52.193.0/24, 192.88.99.0/24, 192.168.0.0/16, 192.175.48.0/24, 198.18.0.0/15, "
    "198.51.100.0/24, 203.0.113.0/24, 224.0.0.0/4, 240.0.0.0/4"
)
UNICAST_IPV6 = networks("2000::/3")  # the only allocated part; NAT64, mapped, local and multicast addresses lie outside
# Protocol assignments (Teredo, ORCHID, benchmarks), documentation, 6to4, AS112.
SPECIAL_IPV6 = networks("2001::/23, 2001:db8::/32, 2002::/16, 2620:4f:8000::/48, 3fff::/20")
# The message does not show the address: a name must not tell where it leads in a private network.
PRIVATE = "the host belongs to this machine or a private network, which webhooks must not call"


def check(url: str, allowed: Sequence[Network]) -> None:
    """Raise Refused for a URL that must not be called, without resolving its host."""
    host, _ = _parts(url)
    is_local = host == LOCALHOST or host.endswith(f".{LOCALHOST}")
    address = parse_address("127.0.0.1" if is_local else host)
    if address and not _may_be_called(address, allowed):
        raise Refused(PRIVATE)


def fault(url: str, allowed: Sequence[Network], pointer: str) -> Fault | None:
    """The fault of a URL at this place of a request, without resolving its host; None if it has none."""
    try:
        check(url, allowed)
    except Refused as error:
        return Fault(pointer, str(error), "the https:// address of a public host")
    return None


def resolve(url: str, allowed: Sequence[Network]) -> str:
    """The address to connect to. Raises Refused if any address of the host must not be called."""
    host, port = _parts(url)
    try:
        entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        reason = error.strerror or "the system gives no reason"
        raise Refused(f"the host {shortened(host, SHOWN)!r} cannot be resolved: {reason}") from error
    addresses = [str(entry[4][0]).partition("%")[0] for entry in entries]
    for address in map(parse_address, addresses):
        if address is None or not _may_be_called(address, allowed):
            raise Refused(PRIVATE)
    return addresses[0]


def _parts(url: str) -> tuple[str, int]:
    """The host and the port. Raises Refused for a malformed URL."""
    if wrong := UNSENDABLE.search(url):
        raise Refused(f"the URL has the character {wrong[0]!r}; write it percent-encoded, in a name as xn--…")
    try:
        split = urlsplit(url)
        host, port = split.hostname, split.port
    except ValueError:
        raise Refused("the URL is malformed: its host is a name or an address, its port a number to 65535") from None
    if split.scheme not in PORTS or not host:
        raise Refused("the URL of a webhook must begin with https:// or http:// and name a host")
    if split.username or split.password:
        raise Refused("the URL of a webhook must not contain a user name or password")
    if port == 0:
        raise Refused("the port of the URL of a webhook must be 1 to 65535")
    if not (parse_address(host) or (NAME.fullmatch(host) and len(host.removesuffix(".")) <= LONGEST_NAME)):
        raise Refused(
            f"{shortened(host, SHOWN)!r} is not the name of a host; allowed: labels of 1 to 63 ASCII letters, digits, "
            f"- and _ with dots between them, {LONGEST_NAME} characters in all"
        )
    return host, port or PORTS[split.scheme]


def _may_be_called(address: Address, allowed: Sequence[Network]) -> bool:
    """Whether an address is an ordinary public one, or in one of the allowed networks."""
    is_special = is_within(address, (*SPECIAL_IPV4, *SPECIAL_IPV6))
    is_unicast = isinstance(address, IPv4Address) or is_within(address, UNICAST_IPV6)
    return (is_unicast and not is_special) or is_within(address, allowed)
