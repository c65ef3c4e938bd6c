"""Which addresses webhooks may call: not this machine or private networks, unless a setting allows them.

A name is resolved once, all its addresses are checked, and the request goes to one of them: a second lookup could
return another address (DNS rebinding).
"""

import ipaddress
import socket
from collections.abc import Sequence
from urllib.parse import urlsplit

from service.core.errors import Fault, Refused

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
PORTS = {"http": 80, "https": 443}
GLOBAL_IPV6 = ipaddress.ip_network("2000::/3")  # all allocated addresses; those that embed an IPv4 address lie outside
RELAYS = tuple(map(ipaddress.ip_network, ("2001::/32", "2002::/16", "192.88.99.0/24")))  # Teredo, 6to4 and its relays


def networks(text: str) -> tuple[Network, ...]:
    """`10.0.0.0/8, ::1` as networks. Raises ValueError."""
    return tuple(ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip())


def check(url: str, allowed: Sequence[Network]) -> None:
    """Raise Refused for a URL that must not be called, without resolving its host."""
    host, _ = _parts(url)
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        if host == "localhost" or host.endswith(".localhost"):
            _refuse_private(ipaddress.ip_address("127.0.0.1"), allowed)
    else:
        _refuse_private(address, allowed)


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
    except (OSError, UnicodeError) as error:
        raise Refused(f"the host {host!r} cannot be resolved: {error}") from error
    addresses = [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in entries]
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
        raise Refused("the URL of a webhook must begin with https:// or http:// and name a host")
    if split.username or split.password:
        raise Refused("the URL of a webhook must not contain a user name or password")
    return host, port or PORTS[split.scheme]


def _refuse_private(address: Address, allowed: Sequence[Network]) -> None:
    mapped = getattr(address, "ipv4_mapped", None) or address
    if any(mapped.version == network.version and mapped in network for network in allowed):
        return
    is_relayed = any(mapped.version == network.version and mapped in network for network in RELAYS)
    is_elsewhere = mapped.version == GLOBAL_IPV6.version and mapped not in GLOBAL_IPV6
    if not mapped.is_global or mapped.is_multicast or is_relayed or is_elsewhere:
        raise Refused(f"{mapped} belongs to this machine or a private network, which webhooks must not call")
