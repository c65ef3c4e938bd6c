"""How much of a request has arrived. It only decides when a thread gets the request; gunicorn's parser checks it."""

import re

PROBES = ("/livez", "/readyz", "/metrics")  # requested every few seconds by machines
MOST_HEAD = 1 << 16  # bytes of the request line and all headers
SMALL_BODY = 1 << 16  # bytes; a body up to this size gets a thread when all of it is there
BLANK_LINE = re.compile(rb"\r?\n\r?\n")  # the parser refuses lines that end without \r
LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,18})[ \t]*(?=\r\n)", re.IGNORECASE)
# Such a body has an unknown length, or its client waits for an answer before it sends the body.
UNKNOWN_LENGTH = re.compile(rb"\r\n(?:transfer-encoding|expect)[ \t]*:", re.IGNORECASE)
PROBE = re.compile(rb"(?:GET|HEAD) (" + b"|".join(path.encode() for path in PROBES) + rb")[ ?]")


class HeadTooLarge(Exception):
    """The headers exceed MOST_HEAD bytes."""


class Arrival:
    """The bytes of one request that are there."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._head = 0  # bytes of the head; 0 until it is complete
        self._wanted = 0  # bytes with which the request gets a thread

    def __bool__(self) -> bool:
        """Whether anything has arrived."""
        return bool(self._received)

    @property
    def has_head(self) -> bool:
        """Whether all headers are there."""
        return self._head > 0

    @property
    def is_complete(self) -> bool:
        """Whether the request can get a thread."""
        return self.has_head and not self.missing

    @property
    def missing(self) -> int:
        """Bytes of a small body that are not there yet."""
        return max(0, self._wanted - len(self._received))

    @property
    def probe(self) -> str | None:
        """The path of PROBES that is requested, if the request has no body."""
        head = bytes(self._received[: self._head])
        found = PROBE.match(head)
        if found is None or LENGTH.search(head) or UNKNOWN_LENGTH.search(head):
            return None
        return found[1].decode()

    def add(self, data: bytes) -> bool:
        """Add bytes. Returns whether the request can get a thread. Raises HeadTooLarge."""
        searched = max(0, len(self._received) - 3)
        self._received += data
        if not self.has_head:
            end = BLANK_LINE.search(self._received, searched)
            if (end.end() if end else len(self._received)) > MOST_HEAD:
                raise HeadTooLarge
            if end is None:
                return False
            self._head = end.end()
            self._wanted = self._head + _small_body(bytes(self._received[: self._head]))
        return self.is_complete

    def take(self) -> bytes:
        """All bytes; the next request starts empty."""
        data = bytes(self._received)
        self._received.clear()
        self._head = self._wanted = 0
        return data


def _small_body(head: bytes) -> int:
    """The length of the body if it is known and small, else 0."""
    lengths = LENGTH.findall(head)
    if len(lengths) != 1 or UNKNOWN_LENGTH.search(head):
        return 0
    length = int(lengths[0])
    return length if length <= SMALL_BODY else 0
