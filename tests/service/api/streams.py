"""Streams of events as the tests read them."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask.testing import FlaskClient

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
    """The parts of a stream, each as soon as the service sends it."""
    with client.get(address, headers=STREAM, buffered=False) as answer:
        yield (part.decode() if isinstance(part, bytes) else str(part) for part in answer.response)


def next_event(parts: Iterator[str]) -> StreamEvent:
    """Read a live stream up to its next event."""
    return next(events[0] for part in parts if (events := parsed(part)))
