"""Each request is counted, timed, traced and written to the log as one line.

The metrics have the template of the route as a label, never the path: clients choose paths freely.
"""

import logging
import re
import time
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from flask import Flask, Response, g, request
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from service.core.telemetry import correlation
from service.core.telemetry.tracing import SERVER, Span, Tracing
from service.http.arrival import PROBES

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
OTHER, UNMATCHED = "other", "unmatched"
SECONDS = (0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)  # the last is the longest ?wait
SERVER_ERROR = 500

log = logging.getLogger(__name__)


class RequestLog:
    """Measures requests. Register it before everything else, so that it sees the whole request."""

    def __init__(self, registry: CollectorRegistry, tracing: Tracing) -> None:
        self._tracing = tracing
        self._requests = Counter(
            "rightfit_http_requests_total", "Answered requests", ["method", "route", "status"], registry=registry
        )
        self._seconds = Histogram(
            "rightfit_http_request_duration_seconds",
            "Time from a request to the end of its answer, including ?wait and event streams",
            ["method", "route"],
            registry=registry,
            buckets=SECONDS,
        )
        self._in_flight = Gauge(
            "rightfit_http_requests_in_flight",
            "Requests in progress",
            registry=registry,
            multiprocess_mode="livesum",
        )

    def register(self, app: Flask) -> None:
        app.before_request(self._begin)
        app.after_request(self._end)

    def _begin(self) -> None:
        given = request.headers.get("X-Request-Id", "")
        g.request_id = given if REQUEST_ID.fullmatch(given) else uuid4().hex
        g.began = time.perf_counter()
        parent = correlation.valid(request.headers.get("traceparent"))
        g.span = None
        if request.path not in PROBES:  # they get no log line and no trace
            method, route = _label(request.method), _route()
            attributes = {"http.request.method": method, "http.route": route, "rightfit.request_id": g.request_id}
            g.span = self._tracing.start(f"{method} {route}", parent, SERVER, attributes)
            parent = g.span.traceparent
        correlation.bind(correlation.Correlation(g.request_id, parent))
        self._in_flight.inc()

    def _end(self, response: Response) -> Response:
        identity = g.get("identity")
        entry = {
            "method": request.method,
            "route": _route(),
            "path": quote(request.path),
            "tenant": identity.tenant if identity else None,
            "request_id": g.request_id,
            "trace_id": correlation.trace_id(correlation.current().traceparent),
        }
        ended = partial(self._ended, response, g.span, g.began, entry)
        if response.direct_passthrough:  # a file: the server closes the file, and not the response
            _on_close(response.response, ended)
        elif response.is_streamed:  # the body is sent later
            response.call_on_close(ended)
        else:
            ended()
        return response

    def _ended(self, response: Response, span: Span | None, began: float, entry: dict[str, str | None]) -> None:
        seconds, status = time.perf_counter() - began, response.status_code
        method, route = _label(entry["method"] or ""), entry["route"] or UNMATCHED
        self._in_flight.dec()
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)
        if span is not None:
            self._write(span, response, entry, seconds)
        correlation.bind(correlation.NONE)

    @staticmethod
    def _write(span: Span, response: Response, entry: dict[str, str | None], seconds: float) -> None:
        status = response.status_code
        span.set({"http.response.status_code": status})
        if status >= SERVER_ERROR:
            span.fail(response.status)
        span.end()
        known = {name: value for name, value in entry.items() if value is not None}
        log.info("request", extra={**known, "status": status, "seconds": round(seconds, 6)})


def _on_close(body: Any, then: Callable[[], None]) -> None:
    """Call `then` when the body is closed. It stays the same object: servers send their own file wrappers fast."""
    close = getattr(body, "close", None)

    def closed() -> None:
        try:
            if close is not None:
                close()
        finally:
            then()

    body.close = closed


def _route() -> str:
    return request.url_rule.rule if request.url_rule else UNMATCHED


def _label(method: str) -> str:
    return method if method in METHODS else OTHER
