"""The metrics of a worker, and the server that shows them."""

import io
import json
import logging
import os
import signal
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pynvml
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from service.core.errors import LeaseLost, SettingsError, StorageError
from service.core.sql.jobs.store import Store
from service.core.storage import Artifact, LocalStorage
from service.core.telemetry.logging_setup import formatter
from tests.exposition import value
from tests.ports import eventually, free_port
from tests.workers.bench import ENDLESS, Bench
from workers.supervisor.supervisor import Supervisor
from workers.telemetry.gpus import Gpus
from workers.telemetry.metrics import WorkerMetrics
from workers.telemetry.observer import Observer
from workers.telemetry.status_server import StatusServer

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines() -> Iterator[Lines]:
    """What the worker logs meanwhile, as objects."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter("json"))
    logging.getLogger("workers").addHandler(handler)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    logging.getLogger("workers").removeHandler(handler)


class MetricReader:
    """Gives a bench a supervisor with metrics, and reads them by name and labels."""

    def __init__(self, bench: Bench, storage: LocalStorage | None = None) -> None:
        self.metrics, self.bench = WorkerMetrics(), bench
        stored = self.metrics.common.watched(storage or bench.storage)
        self.bench.supervisor = Supervisor(
            bench.settings, bench.store.leases, stored, bench.cache, bench.context, observer=Observer(self.metrics)
        )

    def __call__(self, name: str, **labels: str) -> float:
        number = value(generate_latest(self.metrics.registry).decode(), f"rightfit_{name}", **labels)
        assert number is not None, name
        return number


def test_a_job_leaves_its_marks(bench: Bench) -> None:
    metric = MetricReader(bench)
    job = bench.run(dataset={"id": "digits", "train_limit": 100}, batch_size=50, epochs=3)
    assert bench.job(job).status == "succeeded"
    assert metric("worker_jobs_taken_total") == metric("worker_attempts_ended_total", outcome="succeeded") == 1
    assert metric("worker_epoch_seconds_count") == 3
    assert metric("worker_steps_total") == 6
    assert metric("worker_checkpoint_seconds_count") >= 1
    assert metric("worker_checkpoint_bytes_total") > 1000
    assert (metric("worker_busy"), metric("worker_images_per_second")) == (0, 0)
    assert metric("worker_checkpoints_missed_total") == metric("storage_errors_total", operation="put") == 0


def test_while_it_trains_a_worker_is_busy_and_renews_its_lease(bench: Bench) -> None:
    bench = bench.another(replace(bench.settings, heartbeat_seconds=0.1))
    metric = MetricReader(bench)
    job = bench.submit(**ENDLESS)
    thread = bench.start()
    assert eventually(lambda: bench.training(job) and metric("worker_lease_renewals_total") > 1)
    assert metric("worker_busy") == 1
    assert metric("worker_images_per_second") > 0
    assert eventually(lambda: metric("worker_steps_total") > 0)
    bench.supervisor.stop()
    thread.join(60)
    assert metric("worker_attempts_ended_total", outcome="put_back") == 1
    assert metric("worker_busy") == 0


def test_a_killed_trainer_counts_as_lost_and_is_logged_by_job(bench: Bench, lines: Lines) -> None:
    metric = MetricReader(bench)
    job = bench.submit(**ENDLESS)
    thread = bench.start()
    assert eventually(lambda: bench.training(job))
    for pid in bench.trainer_pids():
        os.kill(pid, signal.SIGKILL)
    thread.join(60)
    assert metric("worker_attempts_ended_total", outcome="lost") == 1
    assert metric("jobs_lost_total", finder="supervisor") == 1
    assert [line for line in lines() if "killed by SIGKILL" in line["message"]]
    assert {(line["job_id"], line["attempt"]) for line in lines()} == {(job.id, 1)}


def test_a_lost_lease_is_counted(bench: Bench, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = bench.another(replace(bench.settings, heartbeat_seconds=0.1))
    metric = MetricReader(bench)
    job = bench.submit(**ENDLESS)
    thread = bench.start()
    assert eventually(lambda: bench.training(job))

    def lost(*_: object) -> None:
        raise LeaseLost(job.id)

    monkeypatch.setattr(store.leases, "renew", lost)
    thread.join(60)
    assert metric("worker_attempts_ended_total", outcome="lease_lost") == 1


class Full(LocalStorage):
    """Has no room for checkpoints."""

    def put(self, key: str, source: Path) -> Artifact:
        if "checkpoints" in key:
            raise StorageError(f"{key} could not be stored: no space")
        return super().put(key, source)


def test_checkpoints_that_cannot_be_stored_are_counted(bench: Bench, lines: Lines) -> None:
    metric = MetricReader(bench, Full(bench.settings.home / "storage"))
    job = bench.run()
    assert bench.job(job).status == "succeeded"
    assert {line.get("job_id") for line in lines() if "cannot store a checkpoint" in line["message"]} == {job.id}
    missed = metric("worker_checkpoints_missed_total")
    assert missed >= 1
    assert metric("storage_errors_total", operation="put") == missed
    assert metric("worker_checkpoint_seconds_count") == 0


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Two GPUs, of which the second does not tell how busy it is."""
    calls = {"init": 0}

    def init() -> None:
        calls["init"] += 1

    def busy(handle: int) -> Any:
        if handle == 1:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
        return SimpleNamespace(gpu=75, memory=10)

    monkeypatch.setattr(pynvml, "nvmlInit", init)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetCount", lambda: 2)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetHandleByIndex", lambda index: index)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetUUID", lambda handle: f"GPU-{handle}")
    monkeypatch.setattr(pynvml, "nvmlDeviceGetUtilizationRates", busy)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetMemoryInfo", lambda handle: SimpleNamespace(used=3 << 30, total=8 << 30))
    return calls


def shown() -> str:
    registry = CollectorRegistry()
    gpus = Gpus()
    registry.register(gpus)
    generate_latest(registry)
    return generate_latest(registry).decode()


def test_each_gpu_shows_its_use_and_its_memory(nvml: dict[str, int]) -> None:
    text = shown()
    assert value(text, "rightfit_gpu_utilization_ratio", gpu="0", uuid="GPU-0") == 0.75
    assert value(text, "rightfit_gpu_utilization_ratio", gpu="1", uuid="GPU-1") is None
    for number in "01":
        assert value(text, "rightfit_gpu_memory_used_bytes", gpu=number, uuid=f"GPU-{number}") == 3 << 30
        assert value(text, "rightfit_gpu_memory_size_bytes", gpu=number, uuid=f"GPU-{number}") == 8 << 30
    assert nvml["init"] == 1


def test_without_a_driver_there_are_no_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    monkeypatch.setattr(pynvml, "nvmlInit", refuse)
    assert value(shown(), "rightfit_gpu_memory_used_bytes", gpu="0", uuid="GPU-0") is None


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_the_status_server_shows_metrics_and_problems(host: str) -> None:
    ailments: list[str] = []
    port, metrics = free_port(), WorkerMetrics()
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    with StatusServer(host, port, metrics.registry, lambda: ailments[0] if ailments else None):
        with httpx.Client(base_url=url, trust_env=False) as client:
            assert value(client.get("/metrics").text, "rightfit_worker_busy") == 0
            assert client.get("/livez").status_code == 200
            ailments.append("threads have died: heartbeat")
            answer = client.get("/livez")
            assert (answer.status_code, answer.json()) == (503, {"status": ailments[0]})
            assert client.get("/else").status_code == 404
            assert client.post("/metrics").status_code == 405
        if ":" not in host:
            with pytest.raises(SettingsError, match=f"RIGHTFIT_METRICS_PORT {port} on {host} cannot be used"):
                StatusServer(host, port, metrics.registry, lambda: None)
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
