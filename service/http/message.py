"""gunicorn's request, whose answer says that the connection closes when too much of the body was not read."""

import math

from gunicorn.http.body import ChunkedReader, LengthReader
from gunicorn.http.message import Request

DRAINED_BYTES = 1 << 16  # bytes of a body that is not used, and of a connection that ends


class Message(Request):  # type: ignore[misc]  # gunicorn ships no types
    """A request. Where its next one begins on the connection is known only once the whole body is read."""

    def should_close(self) -> bool:
        """Whether the connection closes after the answer. gunicorn calls this when it sends the headers."""
        return bool(super().should_close()) or self._unread() >= DRAINED_BYTES

    def _unread(self) -> float:
        """Bytes of the body that are not read yet; infinite for chunks, whose number is unknown."""
        reader = self.body.reader
        if isinstance(reader, ChunkedReader):
            return math.inf if reader.parser else 0
        return float(reader.length) if isinstance(reader, LengthReader) else 0
