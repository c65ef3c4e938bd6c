"""A client's connection: what the server knows about it between two requests."""

from typing import Any

from gunicorn.workers.gthread import TConn

from service.http.arrival import Arrival
from service.http.client_socket import BodyReader, ClientSocket
from service.http.message import Message
from service.http.turns import Line


class Connection(TConn):  # type: ignore[misc]  # gunicorn ships no types
    """A client's connection. `deadline` counts while no thread has it (time.monotonic)."""

    def __init__(self, cfg: Any, sock: ClientSocket, client: Any, server: Any) -> None:
        super().__init__(cfg, sock, client, server)
        self.init()
        self.parser.unreader = BodyReader(sock)
        self.parser.mesg_class = Message
        self.arrival = Arrival()
        self.deadline = 0.0
        self.is_ending = False  # after the present answer
        self.is_early = False  # whether its client sent the request before it had the last answer
        self.line: Line[Connection]  # of its present request
        self.drained: int | None = None  # bytes thrown away since the last answer; None: it is not over
