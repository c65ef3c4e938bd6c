"""Where a worker lets itself be seen: /metrics and /livez, on a port of their own."""

import json
import socket
import threading
from collections.abc import Callable, Iterable
from socketserver import TCPServer, ThreadingMixIn
from types import TracebackType
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app

from service.core.errors import SettingsError

CLIENT_SECONDS = 10  # for a client that connects and says nothing

Answer = Iterable[bytes]


class StatusServer:
    """Served within its block, from threads of its own. Raises SettingsError where the port cannot be used."""

    def __init__(self, host: str, port: int, registry: CollectorRegistry, ails: Callable[[], str | None]) -> None:
        """`ails` says what keeps the worker from working, None while nothing does."""
        self._metrics, self._ails = make_wsgi_app(registry), ails
        server = _Server6 if ":" in host else _Server
        try:
            self._server = make_server(host, port, self._answer, server, _Silent)
        except OSError as error:
            raise SettingsError(
                f"RIGHTFIT_METRICS_PORT {port} on {host} cannot be used: {error.strerror}; each worker needs its own"
            ) from None
        self._thread = threading.Thread(target=self._server.serve_forever, name="window", daemon=True)

    def __enter__(self) -> "StatusServer":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _answer(self, environ: dict[str, Any], start: Callable[..., Any]) -> Answer:
        match environ["PATH_INFO"]:
            case "/metrics":
                answer: Answer = self._metrics(environ, start)
                return answer
            case "/livez":
                ails = self._ails()
                status, told = ("503 Service Unavailable", ails) if ails else ("200 OK", "ok")
            case _:
                status, told = "404 Not Found", "there are /metrics and /livez"
        start(status, [("Content-Type", "application/json"), ("Cache-Control", "no-store")])
        return [json.dumps({"status": told}).encode()]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def server_bind(self) -> None:
        """Without asking the network for a name of this machine, which can take long."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Silent(WSGIRequestHandler):
    timeout = CLIENT_SECONDS

    def log_message(self, *words: object) -> None:
        """Probes every few seconds are no news."""
