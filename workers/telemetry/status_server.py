"""The HTTP server of a worker: /metrics and /livez, on a port of their own."""

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

CLIENT_SECONDS = 10  # for a client that connects and sends nothing

Answer = Iterable[bytes]


class StatusServer:
    """Serves within its block, from threads of its own."""

    def __init__(self, host: str, port: int, registry: CollectorRegistry, problem: Callable[[], str | None]) -> None:
        """`problem` returns what keeps the worker from working, None while nothing does.

        Raises SettingsError where the port cannot be used.
        """
        self._metrics, self._problem = make_wsgi_app(registry), problem
        server = _Server6 if ":" in host else _Server
        try:
            self._server = make_server(host, port, self._answer, server, _SilentHandler)
        except OSError as error:
            raise SettingsError(
                f"RIGHTFIT_METRICS_PORT {port} on {host} cannot be used: {error.strerror}; each worker needs its own"
            ) from None
        self._thread = threading.Thread(target=self._server.serve_forever, name="status-server", daemon=True)

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
                problem = self._problem()
                status, text = ("503 Service Unavailable", problem) if problem else ("200 OK", "ok")
            case _:
                status, text = "404 Not Found", "there are /metrics and /livez"
        start(status, [("Content-Type", "application/json"), ("Cache-Control", "no-store")])
        return [json.dumps({"status": text}).encode()]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def server_bind(self) -> None:
        """Bind without the reverse name lookup of http.server, which can take long."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()


class _Server6(_Server):
    address_family = socket.AF_INET6


class _SilentHandler(WSGIRequestHandler):
    timeout = CLIENT_SECONDS

    def log_message(self, *words: object) -> None:
        """Log no request: probes come every few seconds."""
