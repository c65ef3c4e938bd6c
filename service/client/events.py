"""The events of a job or of a fit: those up to now, and live ones."""

from collections.abc import Iterator
from time import sleep

import httpx

from service.client.sse import EventReader
from service.client.transport import Transport
from service.client.types import Event

PAGE = 1000  # the largest page of events


def read_events(transport: Transport, path: str, after: int) -> list[Event]:
    """The events at `path` up to now, after the event with the id `after`."""
    events: list[Event] = []
    while True:
        page = transport.json("GET", path, params={"after": after, "limit": PAGE})
        events += [Event(str(e["id"]), e["type"], {"at": e["at"], **e["data"]}) for e in page["data"]]
        if not page["has_more"]:
            return events
        after = page["data"][-1]["id"]


def stream_events(transport: Transport, path: str, after: str) -> Iterator[Event]:
    """The events at `path`, from the first or after the event with the id `after`, live until the last one.

    If the connection breaks off, the stream continues where it was: each event comes exactly once.
    """
    reader = EventReader(after)
    while True:
        response = transport.repeat(lambda: transport.open(path, reader.headers))
        try:
            for event in reader.read(response):
                if event.type == "end":
                    return
                yield event
        except httpx.TransportError:
            pass  # the connection broke off; connect again, as after a stream that ends early
        finally:
            response.close()
        sleep(reader.retry_seconds)
