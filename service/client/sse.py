"""Reads a stream of server-sent events, over as many connections as it takes."""

import json
from collections.abc import Iterator

import httpx
from httpx_sse import EventSource, SSEError

from service.client.errors import NotRightfit
from service.client.types import Event

RECONNECT_SECONDS = 2.0  # until the server names a pause
STREAM = "text/event-stream"


class EventReader:
    """The position in a stream: the id of the last complete event, and the pause before the next connection."""

    def __init__(self, last_id: str) -> None:
        self.last_id = last_id
        self.retry_seconds = RECONNECT_SECONDS

    @property
    def headers(self) -> dict[str, str]:
        """Of a request that continues after the last complete event."""
        position = {"Last-Event-ID": self.last_id} if self.last_id else {}
        return {"Accept": STREAM, "Accept-Encoding": "identity", **position}

    def read(self, response: httpx.Response) -> Iterator[Event]:
        """The complete events of one connection. Raises NotRightfit if it is not a stream of events."""
        response.encoding = "utf-8-sig"  # the standard allows a byte order mark
        try:
            for message in EventSource(response).iter_sse():
                self.last_id = message.id or self.last_id
                if message.retry is not None:
                    self.retry_seconds = message.retry / 1000
                if message.data:
                    yield Event(self.last_id, message.event, json.loads(message.data))
        except SSEError as error:
            raise NotRightfit(f"{response.url} is not a Rightfit service: {error}") from error
