"""Host names, internet addresses and networks, as settings, HTTP headers and URLs write them."""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
NAME = r"[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?"
HOST = re.compile(rf"({NAME}\.?|\[[0-9a-f:.]+\])(?::\d{{0,5}})?", re.ASCII | re.IGNORECASE)
PATTERN = re.compile(rf"\*\.{NAME}", re.ASCII | re.IGNORECASE)  # all names below a domain
EVERY = "*"
LOCALHOST = "localhost"


def networks(text: str) -> tuple[Network, ...]:
    """`10.0.0.0/8, ::1` as networks. Raises ValueError."""
    return tuple(ipaddress.ip_network(part) for part in _parts(text))


def parse_address(text: str) -> Address | None:
    """The address that a text is, None for any other text. An IPv4 address written within IPv6 is an IPv4 address."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def is_within(address: Address, known: Sequence[Network]) -> bool:
    """Whether one of the networks has the address."""
    return any(address.version == network.version and address in network for network in known)


def host_name(text: str) -> str | None:
    """The host in `host:port`, without the port: a name in lower case, or an address. None for any other text."""
    match = HOST.fullmatch(text)
    if match is None:
        return None
    host = match[1].lower()
    if not host.startswith("["):
        return host.removesuffix(".")
    address = parse_address(host[1:-1])
    return None if address is None else str(address)


@dataclass(frozen=True)
class HostList:
    """Hosts by their names and addresses. `*.example.org` has every name below the domain, `*` every host."""

    entries: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> "HostList":
        """`rightfit.example.org, *.example.net, 10.0.0.7`; a port is ignored. Raises ValueError."""
        return cls(tuple(_entry(part) for part in _parts(text)))

    def __contains__(self, host: str) -> bool:
        """Whether the list has a host as `host_name` returns it."""
        below = tuple(entry.removeprefix(EVERY) for entry in self.entries if entry.startswith("*."))
        return EVERY in self.entries or host in self.entries or (bool(below) and host.endswith(below))


def _entry(text: str) -> str:
    if text == EVERY or PATTERN.fullmatch(text):
        return text.lower()
    address = parse_address(text)
    name = str(address) if address else host_name(text)
    if name is None:
        raise ValueError(f"{text!r} is not a host")
    return name


def _parts(text: str) -> list[str]:
    return [part for word in text.split(",") if (part := word.strip())]
