"""The real app behind a real socket, with a network in between that fails on request."""

import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from flask import Flask
from werkzeug.serving import make_server

from service.app import create_app
from service.core.settings import Settings
from service.services import Services

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Seen(NamedTuple):
    """A request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]


@dataclass
class Network:
    """Passes requests to the app, except those with a planned fault; each fault happens once, in order."""

    app: Wsgi
    seen: list[Seen] = field(default_factory=list)
    _planned: list[tuple[str, Callable[[Wsgi], Wsgi]]] = field(default_factory=list)

    def refuse(self, ending: str, status: str, body: bytes = b"", times: int = 1, **headers: str) -> None:
        """Answer in place of the app where the path has this ending."""

        def refused(_: Wsgi) -> Wsgi:
            def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
                environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
                start(status, [(name.replace("_", "-"), value) for name, value in headers.items()])
                return [body]

            return answer

        self._planned += [(ending, refused)] * times

    def cut(self, ending: str, after: int, times: int = 1) -> None:
        """Let the app answer, and close the connection after `after` bytes of its body; at 0 no answer arrives."""

        def cut(app: Wsgi) -> Wsgi:
            def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Iterator[bytes]:
                left = after
                blocks = app(environ, start)
                try:
                    for block in blocks:
                        if left:
                            yield block[:left]
                        left = max(0, left - len(block))
                        if not left:
                            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
                            raise ConnectionResetError
                finally:
                    getattr(blocks, "close", lambda: None)()

            return answer

        self._planned += [(ending, cut)] * times

    def of(self, ending: str) -> list[Seen]:
        return [request for request in self.seen if request.path.endswith(ending)]

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        headers = {name[5:].lower().replace("_", "-"): v for name, v in environ.items() if name.startswith("HTTP_")}
        self.seen.append(Seen(environ["REQUEST_METHOD"], path, headers))
        for n, (ending, fault) in enumerate(self._planned):
            if path.endswith(ending):
                del self._planned[n]
                return fault(self.app)(environ, start)
        return self.app(environ, start)


class Live:
    """A service of one process over SQLite; the test takes the part of the worker."""

    def __init__(self, settings: Settings) -> None:
        self.app: Flask = create_app(settings)
        self.parts: Services = self.app.extensions["rightfit"]
        self.parts.database.migrate()
        self.network = Network(self.app.wsgi_app)
        self._server = make_server("127.0.0.1", 0, self.network, threaded=True)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self.url = f"http://127.0.0.1:{self._server.port}"

    def __enter__(self) -> "Live":
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self.parts.database.close()
