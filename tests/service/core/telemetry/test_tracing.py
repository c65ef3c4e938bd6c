"""Tracing without a receiver; tests/life/test_watched.py shows that traces arrive at one."""

import logging
import sys

import pytest

from service.core.telemetry.tracing import ENDPOINTS, SERVER, Tracing

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.mark.parametrize("parent", [PARENT, None])
def test_without_a_receiver_spans_pass_on_their_parent(parent: str | None) -> None:
    span = Tracing("a service", {}).start("a request", parent, SERVER, {"a": 1})
    with span.part("a part") as part:
        part.set({"b": 2})
        part.note("an event", {})
    span.fail("in vain")
    span.end()
    assert (span.traceparent, part.traceparent) == (parent, parent)


def test_missing_packages_are_logged_and_change_nothing_else(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with caplog.at_level(logging.WARNING):
        tracing = Tracing("a service", {ENDPOINTS[0]: "http://127.0.0.1:9"})
    assert "install rightfit[otel]" in caplog.text
    assert tracing.start("a request", PARENT).traceparent == PARENT
    tracing.close()


def test_a_trace_unsampled_by_its_caller_stays_unsampled(monkeypatch: pytest.MonkeyPatch) -> None:
    tracing = Tracing("a service", {ENDPOINTS[1]: "http://127.0.0.1:9/v1/traces"})
    span = tracing.start("a request", PARENT[:-1] + "0")
    assert span.traceparent is not None
    assert span.traceparent.split("-")[1] == PARENT.split("-")[1]
    assert span.traceparent.endswith("-00")
    span.end()
    tracing.close()
    tracing.close()
