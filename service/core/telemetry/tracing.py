"""Traces by OpenTelemetry, if it is installed (the extra `otel`) and its standard variables name a receiver.

Its own variables configure all else: names, sampling, batches, headers. Without a receiver, spans record nothing and
pass on the traceparent of their parent.
"""

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span as OtelSpan

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
INTERNAL, SERVER, CONSUMER = "INTERNAL", "SERVER", "CONSUMER"  # kinds of spans

Value = str | bool | int | float

log = logging.getLogger(__name__)


class Span:
    """A timed operation; a null span records nothing. `traceparent` is passed on as the parent of further spans."""

    def __init__(self, tracing: "Tracing", span: "OtelSpan | None", parent: str | None) -> None:
        self._tracing, self._span = tracing, span
        context = span.get_span_context() if span else None
        is_own = context is not None and context.is_valid
        self.traceparent = (
            f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
            if context and is_own
            else parent
        )

    def set(self, attributes: Mapping[str, Value]) -> None:
        """Set attributes of the span."""
        if self._span:
            self._span.set_attributes(attributes)

    def note(self, name: str, attributes: Mapping[str, Value]) -> None:
        """Record an event now. Beyond its limit OpenTelemetry keeps the newest events."""
        if self._span:
            self._span.add_event(name, attributes)

    def fail(self, words: str) -> None:
        """Mark the span as failed."""
        if self._span:
            from opentelemetry.trace import StatusCode  # noqa: PLC0415 - only where it is installed

            self._span.set_status(StatusCode.ERROR, words)

    def child(self, name: str) -> "Span":
        """Start a child span. The caller ends it."""
        return self._tracing.start(name, self.traceparent)

    def end(self) -> None:
        if self._span:
            self._span.end()

    @contextmanager
    def part(self, name: str) -> "Iterator[Span]":
        """A child span for the duration of the block, marked as failed if the block raises."""
        span = self.child(name)
        try:
            yield span
        except Exception as error:
            span.fail(f"{type(error).__name__}: {error}")
            raise
        finally:
            span.end()


class Tracing:
    """Starts spans of the service named `service`, unless OTEL_SERVICE_NAME sets another name."""

    def __init__(self, service: str, env: Mapping[str, str] = os.environ) -> None:
        self._provider = _provider(service, env) if any(env.get(name) for name in ENDPOINTS) else None
        self._tracer = self._provider.get_tracer("rightfit") if self._provider else None

    def start(
        self, name: str, parent: str | None, kind: str = INTERNAL, attributes: Mapping[str, Value] | None = None
    ) -> Span:
        """Start a span in the parent's trace, or in a new trace without a parent. The caller ends it."""
        if self._tracer is None:
            return Span(self, None, parent)
        from opentelemetry.trace import SpanKind  # noqa: PLC0415 - only where it is installed
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415

        carrier = {"traceparent": parent} if parent else {}
        context = TraceContextTextMapPropagator().extract(carrier)
        started = self._tracer.start_span(name, context, SpanKind[kind], attributes)
        return Span(self, started, parent)

    def close(self) -> None:
        """Send the remaining spans and stop tracing."""
        if self._provider:
            self._provider.shutdown()
            self._provider = None


def _provider(service: str, env: Mapping[str, str]) -> "TracerProvider | None":
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - an extra
        from opentelemetry.sdk.resources import SERVICE_NAME, Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    except ImportError as error:
        log.warning("no traces are sent, although %s is set: %s; install rightfit[otel]", " or ".join(ENDPOINTS), error)
        return None
    is_named = env.get("OTEL_SERVICE_NAME") or f"{SERVICE_NAME}=" in env.get("OTEL_RESOURCE_ATTRIBUTES", "")
    provider = TracerProvider(resource=Resource.create({} if is_named else {SERVICE_NAME: service}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider
