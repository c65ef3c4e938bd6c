"""Streams of events as the tests read them."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask.testing import FlaskClient

EVENT = re.compile(r".+?(?:\n\n|\Z)", re.DOTALL)  # or a comment, with the empty line that ends it
STREAM = {"Accept": "text/event-stream"}
StreamEvent = dict[str, Any]


def parsed(text: str) -> list[StreamEvent]:
    """The events in the text of a stream, without comments and the retry time."""
    events = []
    for block in text.split("\n\n"):
        lines = [line.partition(": ")[::2] for line in block.splitlines() if line and not line.startswith(":")]
        fields = dict(lines)
        if "data" in fields:
            events.append(fields | {"data": json.loads(fields["data"])})
    return events


@contextmanager
def live(client: FlaskClient, address: str) -> Iterator[Iterator[str]]:
    """The events and comments of a stream, as soon as the service sends them: several at a time, if it has several."""
    with client.get(address, headers=STREAM, buffered=False) as answer:
        parts = (part.decode() if isinstance(part, bytes) else str(part) for part in answer.response)
        yield (event for part in parts for event in EVENT.findall(part))


def next_event(parts: Iterator[str]) -> StreamEvent:
    """Read a live stream up to its next event."""
    return next(events[0] for part in parts if (events := parsed(part)))
