"""Jobs with interruptions, over real HTTP: pause, retry, repeated requests, a broker that stops and starts."""

import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from service.client import ApiError, Rightfit
from service.core.broker.hints import HintQueue
from service.core.records.submission import NewJob
from service.core.settings import Settings
from service.core.spec import JobSpec
from service.core.sql.engine import Database
from service.core.sql.jobs.store import Store
from tests.conftest import STOP_SECONDS, Redis, Serving
from tests.ports import eventually, free_port
from tests.servers import LIFELINE, ROOT

SPEC: dict[str, Any] = {
    "dataset": {"id": "digits", "train_limit": 600},
    "seed": 7,
    "model": {"arch": "cnn", "channels": [8], "hidden": [16], "norm": "batch"},
    "epochs": 16,
    "batch_size": 16,
    "early_stopping": None,
    "regularization": {"dropout": 0.2},
}

LONGER = SPEC | {"epochs": 60}  # some seconds: the owner's requests are read once a second
QUICK = SPEC | {"dataset": {"id": "digits", "train_limit": 50}}  # many epochs a second, on a busy machine as well


@pytest.fixture
def client(serving: Serving) -> Iterator[Rightfit]:
    with Rightfit(serving.url) as client:
        yield client


def losses(client: Rightfit, job_id: str) -> list[tuple[Any, ...]]:
    return [(row["epoch"], row["train_loss"], row["val_loss"]) for row in client.history(job_id)["data"]]


def test_paused_job_ends_as_the_undisturbed_one(client: Rightfit) -> None:
    undisturbed, job = (client.submit(LONGER)["id"] for _ in range(2))
    assert eventually(lambda: client.job(job)["progress"]["epoch"] >= 3)
    client.pause(job)
    assert eventually(lambda: client.job(job)["status"] == "paused")
    done = client.job(job)["progress"]["epoch"]
    assert done >= 3
    assert client.resume(job)["status"] == "queued"
    ended = client.wait(job)
    (resumed,) = [event for event in client.stream(job) if event.type == "resumed"]
    assert resumed.data["after_epoch"] == done, "no epoch was trained while the job was paused"
    assert (ended["status"], ended["attempt"], ended["losses"]) == ("succeeded", 2, [])
    assert client.wait(undisturbed)["status"] == "succeeded"
    assert losses(client, job) == losses(client, undisturbed)
    assert [t["status"] for t in ended["transitions"]][:4] == ["queued", "running", "paused", "queued"]


def test_job_cancelled_while_paused_keeps_its_best_model(client: Rightfit, serving: Serving) -> None:
    job = client.submit(SPEC | {"epochs": 100_000})["id"]
    assert eventually(lambda: client.job(job)["progress"]["epoch"] >= 2)
    client.pause(job)
    assert eventually(lambda: client.job(job)["status"] == "paused")
    cancelled = client.cancel(job)
    assert (cancelled["status"], cancelled["stop_reason"]) == ("cancelled", "cancelled")
    assert [a["name"] for a in client.artifacts(job)] == ["best_model.pth"]
    left = {path.name for path in (serving.home / "storage" / "jobs" / job).rglob("*") if path.is_file()}
    assert left == {"best_model.pth"}, "checkpoints for a resume are deleted"


@pytest.mark.parametrize("action", ["pause", "resume", "retry"])
def test_ended_job_refuses_control_with_its_status(client: Rightfit, action: str) -> None:
    job = client.wait(client.submit(SPEC | {"epochs": 1})["id"])
    with pytest.raises(ApiError, match="succeeded") as caught:
        getattr(client, action)(job["id"])
    assert (caught.value.problem["status"], caught.value.problem["code"]) == (409, "conflict")


def test_job_that_exceeds_max_seconds_keeps_its_best_model(client: Rightfit) -> None:
    job = client.wait(client.submit(QUICK | {"epochs": 100_000, "max_seconds": 2.0})["id"])
    assert (job["status"], job["stop_reason"]) == ("succeeded", "max_seconds")
    assert "best_model.pth" in {a["name"] for a in client.artifacts(job["id"])}


@pytest.mark.long
def test_killed_trainer_restarts_without_effect_on_the_result(client: Rightfit, serving: Serving) -> None:
    undisturbed = client.wait(client.submit(SPEC)["id"])
    job = client.submit(SPEC)["id"]
    assert eventually(lambda: client.job(job)["progress"]["epoch"] >= 3)
    trainer(serving).send_signal(signal.SIGKILL)
    ended = client.wait(job)
    assert (ended["status"], ended["attempt"]) == ("succeeded", 2)
    (loss,) = ended["losses"]
    assert "SIGKILL" in loss["cause"]
    assert losses(client, job) == losses(client, undisturbed["id"])


def trainer(serving: Serving) -> psutil.Process:
    """The process that the forkserver of the worker has forked to train."""
    (worker,) = [p for p in serving.descendants() if p.cmdline()[-2:] == ["-m", "workers"] and p.children()]
    return max(worker.children(recursive=True), key=lambda process: process.create_time())


def test_idempotency_key_returns_the_same_job(serving: Serving) -> None:
    def post(key: str, **changes: Any) -> httpx.Response:
        spec = {"dataset": {"id": "digits"}, "epochs": 1, **changes}
        return httpx.post(f"{serving.url}/v1/jobs", json=spec, headers={"Idempotency-Key": key}, trust_env=False)

    key = f"key-{time.time_ns()}"
    first, again, other = post(key), post(key), post(key, epochs=2)
    assert (first.status_code, again.status_code, other.status_code) == (202, 202, 422)
    assert again.json()["id"] == first.json()["id"]
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    assert other.json()["code"] == "idempotency_key_reused"
    bad = post("x" * 256)
    assert bad.status_code == 422
    assert "1 to 255" in bad.json()["errors"][0]["allowed"]


class Wire:
    """A TCP proxy to a broker whose connections can go half-open: open at both ends, and nothing passes."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._dead, self._closed = threading.Event(), threading.Event()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._ends: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._run(self._accept)

    def die(self) -> None:
        """The current connections pass nothing any more; new ones work."""
        self._dead.set()
        self._dead = threading.Event()

    def close(self) -> None:
        self._closed.set()
        for end in (self._server, *self._ends):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for end in (self._server, *self._ends):
            end.close()

    def _run(self, target: Any, *arguments: Any) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                ours, _ = self._server.accept()
                theirs = socket.create_connection(("127.0.0.1", self._target))
                self._ends += [ours, theirs]
                for one, other in ((ours, theirs), (theirs, ours)):
                    self._run(self._pass, one, other, self._dead)

    def _pass(self, source: socket.socket, target: socket.socket, dead: threading.Event) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if dead.is_set():
                    self._closed.wait()  # keep both ends open and pass nothing
                target.sendall(data)
            target.shutdown(socket.SHUT_RDWR)


@pytest.mark.long
def test_worker_recovers_from_a_half_open_broker_connection(tmp_path: Path, own_redis: Redis) -> None:
    with closing(Wire(own_redis.port)) as wire:
        given = Settings.from_env({"RIGHTFIT_HOME": str(tmp_path / "home"), "RIGHTFIT_HINT_SECONDS": "2"})
        settings = replace(given, redis_url=f"redis://127.0.0.1:{wire.port}/0", port=free_port(), threads=1)
        database = Database(settings.database_url)
        database.migrate()
        store = Store(database)
        log = (tmp_path / "worker.log").open("wb")
        worker = subprocess.Popen(
            [*LIFELINE, sys.executable, "-m", "workers"],
            cwd=ROOT,
            env=settings.to_env() | {"PATH": "/usr/bin:/bin"},
            stdout=log,
            stderr=log,
        )
        spec = JobSpec.from_dict({"dataset": {"id": "digits", "train_limit": 100}, "epochs": 1}).filled(1)
        try:
            hints = HintQueue(settings.broker_url)

            def run_one() -> bool:
                job, _ = store.actions.submit("t", NewJob(spec))
                hints.send(job.id)
                return eventually(lambda: store.queries.get("t", job.id).status == "succeeded")

            assert run_one()
            wire.die()
            assert run_one(), (tmp_path / "worker.log").read_text()
        finally:
            worker.terminate()
            worker.wait(STOP_SECONDS)
            log.close()
            database.close()


@pytest.mark.long
def test_api_works_without_redis_and_jobs_run_when_it_is_back(tmp_path: Path, own_redis: Redis) -> None:
    with Serving(
        tmp_path / "home",
        RIGHTFIT_REDIS_URL=own_redis.url,
        RIGHTFIT_DISPATCH_SECONDS="0.5",
        RIGHTFIT_HINT_SECONDS="600",
    ) as stack:
        stack.wait_until_ready()
        with Rightfit(stack.url) as client:
            before = client.wait(client.submit(SPEC | {"epochs": 2})["id"])
            own_redis.stop()
            job = client.submit(SPEC | {"epochs": 2})["id"]
            assert client.job(job)["status"] == "queued"
            assert len(client.history(before["id"])["data"]) == 2
            client.download(before["id"], "best_model.pth", tmp_path / "best_model.pth")
            checks = httpx.get(f"{stack.url}/readyz", trust_env=False)
            assert checks.status_code == 200
            assert checks.json()["checks"]["redis"].startswith("unavailable")
            own_redis.start()
            assert client.wait(job)["status"] == "succeeded"
            assert client.job(job)["attempt"] == 1
