"""Where a webhook may lead: never to this machine or into a private network, unless that is allowed.

A name is resolved once, every address of it is judged, and the request goes to one of those very addresses: a name that
is resolved a second time could lead elsewhere by then (DNS rebinding).
"""

import ipaddress
import socket
from collections.abc import Sequence
from urllib.parse import urlsplit

from service.core.errors import Fault, Refused

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
PORTS = {"http": 80, "https": 443}
GLOBAL_IPV6 = ipaddress.ip_network("2000::/3")  # all that was given out; what embeds an IPv4 address is elsewhere
RELAYS = tuple(map(ipaddress.ip_network, ("2001::/32", "2002::/16", "192.88.99.0/24")))  # Teredo, 6to4 and its relays


def networks(text: str) -> tuple[Network, ...]:
    """`10.0.0.0/8, ::1` as networks. Raises ValueError."""
    return tuple(ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip())


def check(url: str, allowed: Sequence[Network]) -> None:
    """Raise Refused for what cannot be called, as far as the URL alone shows it."""
    host, _ = _parts(url)
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        if host == "localhost" or host.endswith(".localhost"):
            _refuse_private(ipaddress.ip_address("127.0.0.1"), allowed)
    else:
        _refuse_private(address, allowed)


def fault(url: str, allowed: Sequence[Network], pointer: str) -> Fault | None:
    """What is wrong with a URL at this place of a request, as far as it alone shows it."""
    try:
        check(url, allowed)
    except Refused as error:
        return Fault(pointer, str(error), "the https:// address of a public host")
    return None


def resolve(url: str, allowed: Sequence[Network]) -> str:
    """The address to connect to. Raises Refused where any address of the name may not be called."""
    host, port = _parts(url)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Refused(f"the host {host!r} cannot be found: {error}") from error
    addresses = [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
    for address in addresses:
        _refuse_private(address, allowed)
    return str(addresses[0])


def _parts(url: str) -> tuple[str, int]:
    try:
        split = urlsplit(url)
        host, port = split.hostname, split.port
    except ValueError as error:
        raise Refused(f"not a URL: {error}") from error
    if split.scheme not in PORTS or not host:
        raise Refused("a webhook's URL begins with https:// or http:// and names a host")
    if split.username or split.password:
        raise Refused("a webhook's URL carries no user name or password")
    return host, port or PORTS[split.scheme]


def _refuse_private(address: Address, allowed: Sequence[Network]) -> None:
    mapped = getattr(address, "ipv4_mapped", None) or address
    if any(mapped.version == network.version and mapped in network for network in allowed):
        return
    is_relayed = any(mapped.version == network.version and mapped in network for network in RELAYS)
    is_elsewhere = mapped.version == GLOBAL_IPV6.version and mapped not in GLOBAL_IPV6
    if not mapped.is_global or mapped.is_multicast or is_relayed or is_elsewhere:
        raise Refused(f"{mapped} is this machine's or a private network's, which webhooks may not call")
