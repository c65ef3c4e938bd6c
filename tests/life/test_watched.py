"""Telemetry of a whole stack: two API processes and a worker, with metrics, JSON logs and a receiver of traces."""

import json
import os
import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import psutil
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from deploy.monitoring import check
from service.docs import FOLDER
from tests.conftest import Serving
from tests.exposition import families, value
from tests.ports import PATIENCE_SECONDS, eventually, free_port
from workers.telemetry.gpus import Gpus

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SPEC = {
    "dataset": {"id": "digits", "train_limit": 100},
    "model": {"arch": "mlp", "hidden": [8]},
    "epochs": 3,
    "early_stopping": None,
}
Span = dict[str, Any]


class Receiver:
    """Receives spans by OTLP over HTTP."""

    def __init__(self, url: str) -> None:
        self.url, self.spans = url, list[Span]()

    def take(self, body: bytes) -> None:
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            about = {item.key: item.value.string_value for item in resource.resource.attributes}
            for scope in resource.scope_spans:
                for span in scope.spans:
                    attributes = {item.key: item.value.string_value or item.value.int_value for item in span.attributes}
                    self.spans.append(
                        {
                            "service": about["service.name"],
                            "name": span.name,
                            "trace": span.trace_id.hex(),
                            "id": span.span_id.hex(),
                            "parent": span.parent_span_id.hex(),
                            "attributes": attributes,
                            "events": [event.name for event in span.events],
                            "status": span.status.code,
                            "seconds": (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9,
                        }
                    )

    def named(self, name: str) -> list[Span]:
        return [span for span in self.spans if span["name"] == name and span["trace"] == TRACE]


@contextmanager
def receiving() -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/traces"
            receiver.take(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *words: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver = Receiver(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield receiver
    server.shutdown()
    thread.join()
    server.server_close()


class Watched:
    """The stack, its metrics and its logs."""

    def __init__(self, stack: Serving, receiver: Receiver, port: int) -> None:
        self.stack, self.receiver, self.worker_url = stack, receiver, f"http://127.0.0.1:{port}"

    def api(self) -> str:
        return httpx.get(f"{self.stack.url}/metrics", trust_env=False).text

    def worker(self) -> str:
        return httpx.get(f"{self.worker_url}/metrics", trust_env=False).text

    def lines(self, part: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.stack.home / "logs" / f"{part}.log").read_text().splitlines()]


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    port = free_port()
    with receiving() as receiver:
        variables = {
            "RIGHTFIT_API_PROCESSES": "2",
            "RIGHTFIT_METRICS_PORT": str(port),
            "RIGHTFIT_LOG_FORMAT": "json",
            "RIGHTFIT_THREADS": "1",
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
            "OTEL_BSP_SCHEDULE_DELAY": "100",
            "NO_PROXY": "127.0.0.1",
        }
        with Serving(tmp_path_factory.mktemp("watched") / "home", **variables) as stack:
            stack.wait_until_ready()
            yield Watched(stack, receiver, port)


@pytest.fixture(scope="module")
def job(watched: Watched) -> dict[str, Any]:
    """An ended job that was submitted with a trace and a request id."""
    sent = {"traceparent": f"00-{TRACE}-{PARENT}-01", "X-Request-Id": "the-request"}
    with httpx.Client(base_url=watched.stack.url, trust_env=False, timeout=PATIENCE_SECONDS) as client:
        job: dict[str, Any] = client.post("/v1/jobs", json=SPEC, headers=sent).raise_for_status().json()
        while not job["is_terminal"]:
            job = client.get(f"/v1/jobs/{job['id']}?wait=30").json()
    assert job["status"] == "succeeded"
    return job


def test_request_job_and_attempt_are_one_trace(watched: Watched, job: dict[str, Any]) -> None:
    receiver = watched.receiver
    assert eventually(lambda: bool(receiver.named("attempt")))
    [request], [attempt] = receiver.named("POST /v1/jobs"), receiver.named("attempt")
    assert (request["service"], attempt["service"]) == ("rightfit-api", "rightfit-worker")
    assert (request["parent"], attempt["parent"]) == (PARENT, request["id"])
    assert request["attributes"]["http.response.status_code"] == 202
    assert attempt["attributes"] == {
        "rightfit.job_id": job["id"],
        "rightfit.attempt": 1,
        "rightfit.outcome": "succeeded",
    }
    for part in ("preparing", "training", "finalizing", "checkpoint", "publish"):
        spans = receiver.named(part)
        assert spans, part
        assert {span["parent"] for span in spans} == {attempt["id"]}
        assert all(span["seconds"] <= attempt["seconds"] for span in spans)
    [training] = receiver.named("training")
    assert training["events"] == ["epoch"] * 3


def test_every_log_line_is_json_with_its_context(watched: Watched, job: dict[str, Any]) -> None:
    def requests() -> list[dict[str, Any]]:
        return [line for line in watched.lines("api") if line["message"] == "request"]

    assert eventually(lambda: any(line["request_id"] == "the-request" for line in requests()))
    api, worker = watched.lines("api"), watched.lines("worker")
    assert {"level", "logger", "message", "timestamp"} <= set.intersection(*(set(line) for line in api + worker))
    assert any(line["logger"] == "gunicorn.error" for line in api)
    assert any(line["logger"].startswith("celery") for line in worker)
    [posted] = [line for line in requests() if line["request_id"] == "the-request"]
    assert {name: posted[name] for name in ("method", "route", "path", "tenant", "status", "trace_id")} == {
        "method": "POST",
        "route": "/v1/jobs",
        "path": "/v1/jobs",
        "tenant": "default",
        "status": 202,
        "trace_id": TRACE,
    }
    assert not [line for line in requests() if line["route"] in ("/readyz", "/metrics")]
    [ended] = [line for line in worker if line["message"].endswith("succeeded: max_epochs")]
    assert (ended["job_id"], ended["attempt"], ended["trace_id"]) == (job["id"], 1, TRACE)
    log = httpx.get(f"{watched.stack.url}{job['links']['logs']}", trust_env=False).json()["data"]
    assert log[-1]["message"] == "stopped (max_epochs) after 3 epochs"


def test_api_counters_are_summed_and_survive_processes(watched: Watched, job: dict[str, Any]) -> None:
    def counted() -> float:
        total = value(watched.api(), "rightfit_http_requests_total", method="GET", route="unmatched", status="404")
        return total or 0

    def ask(times: int) -> None:
        for _ in range(times):
            httpx.get(f"{watched.stack.url}/no/such/page", trust_env=False)

    before = counted()
    ask(20)
    assert [counted() - before for _ in range(6)] == [20] * 6  # whichever process answers
    [gunicorn] = [p for p in watched.stack.descendants() if "gunicorn" in p.cmdline() and _is_parent(p)]
    first, second = gunicorn.children()
    os.kill(first.pid, signal.SIGKILL)
    assert eventually(
        lambda: {first.pid, second.pid} != (pids := {p.pid for p in gunicorn.children()}) and len(pids) == 2
    )
    assert eventually(lambda: counted() - before == 20)
    ask(5)
    assert counted() - before == 25
    assert value(watched.api(), "rightfit_http_requests_in_flight") == 1


def _is_parent(process: psutil.Process) -> bool:
    return len(process.children()) > 0


def test_worker_exposes_health_and_metrics(watched: Watched, job: dict[str, Any]) -> None:
    assert httpx.get(f"{watched.worker_url}/livez", trust_env=False).json() == {"status": "ok"}
    text = watched.worker()
    assert value(text, "rightfit_worker_attempts_ended_total", outcome="succeeded") == 1
    assert value(text, "rightfit_worker_epoch_seconds_count") == 3
    assert {"rightfit_disk_free_bytes", "rightfit_build_info", "process_cpu_seconds_total"} <= families(text)
    stood = watched.api()
    assert (value(stood, "rightfit_workers"), value(stood, "rightfit_workers_idle")) == (1, 1)


def test_dashboard_alerts_and_page_name_exposed_metrics(watched: Watched, job: dict[str, Any]) -> None:
    assert eventually(lambda: value(watched.api(), "rightfit_jobs", status="succeeded") == 1)
    of_gpus = {family.name for family in Gpus().collect()}
    exposed = families(watched.api()) | families(watched.worker()) | of_gpus
    asked = {re.sub(r"_(bucket|sum|count)$", "", name) for name in check.named()}
    assert asked <= exposed
    table = (FOLDER / "monitoring.md").read_text("utf-8").partition("| metric |")[2].partition("\n\n")[0]
    first = [row.split("|")[1] for row in table.splitlines() if row.startswith("| `")]
    documented = {name for cell in first for name in re.findall(r"`(rightfit_\w+)`", cell)}
    assert documented == {name for name in exposed if name.startswith("rightfit_")}
