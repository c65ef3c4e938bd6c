"""`rightfit serve` whose parts are killed while jobs run. Nobody restarts anything by hand."""

import itertools
import os
import random
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from service.client import Rightfit
from service.stack.standalone import broker_binary
from tests.conftest import END_SECONDS, Serving
from tests.exposition import value
from tests.ports import eventually

PARTS = {"broker": ("valkey-server", "redis-server"), "worker": ("-m workers",), "api": ("-m gunicorn",)}
JOB: dict[str, Any] = {
    "dataset": {"id": "digits", "train_limit": 100},
    "model": {"arch": "mlp", "hidden": [8]},
    "epochs": 400,
    "early_stopping": None,
    "seed": 1,
}
JOBS = 20
TRIES = 100  # of a request: the API may be starting
ROUNDS = 3  # in which each part is killed once, and then all of them
MEASURES = ("epoch", "train_loss", "val_loss", "val_accuracy", "lr")


def pid_of(stack: Serving, part: str) -> int | None:
    """The process that the stack has started for a part."""
    for process in psutil.Process(stack.process.pid).children():
        try:
            words = " ".join(process.cmdline())
        except psutil.Error:  # it has ended
            continue
        if "lifeline" not in words and any(name in words for name in PARTS[part]):
            return process.pid
    return None


def kill(stack: Serving, *parts: str) -> None:
    """Kill those of the parts that run, once one of them runs."""

    def found() -> list[int]:
        return [pid for part in parts if (pid := pid_of(stack, part))]

    assert eventually(lambda: bool(found()))
    for pid in found():
        os.kill(pid, signal.SIGKILL)


def states(stack: Serving) -> dict[str, Any]:
    try:
        parts: dict[str, Any] = httpx.get(f"{stack.url}/readyz", trust_env=False).json()["parts"]
    except httpx.TransportError:
        return {}
    return parts


def all_run(stack: Serving, restarts: int) -> bool:
    parts = states(stack)
    return bool(parts) and all(p["state"] == "running" and p["restarts"] >= restarts for p in parts.values())


def history(client: Rightfit, job: str) -> list[list[Any]]:
    return [[row[name] for name in MEASURES] for row in client.history(job)["data"]]


def test_a_job_survives_the_death_of_every_part(tmp_path: Path) -> None:
    with Serving(tmp_path / "home") as stack, Rightfit(stack.url, tries=TRIES) as client:
        stack.wait_until_ready()
        undisturbed, disturbed = (client.submit(JOB | {"name": name})["id"] for name in ("calm", "disturbed"))
        assert client.wait(undisturbed)["status"] == "succeeded"
        assert eventually(lambda: client.job(disturbed)["progress"]["epoch"] >= 1)
        kill(stack, *PARTS)
        assert eventually(lambda: all_run(stack, 1), END_SECONDS)
        job = client.wait(disturbed)
        assert (job["status"], job["attempt"]) == ("succeeded", 2)
        assert history(client, disturbed) == history(client, undisturbed)
        worker = states(stack)["worker"]
        assert worker["last_death"] == "was killed by SIGKILL"
        metrics = httpx.get(f"{stack.url}/metrics", trust_env=False).text
        assert value(metrics, "rightfit_part_restarts_total", part="api") == 1
        assert value(metrics, "rightfit_part_up", part="worker") == 1
        kill(stack, "worker")
        code, words = stack.interrupt()
        assert code == 0
        assert "worker was killed by SIGKILL, death 1 in a row; it starts again" in words
        assert "api is running again" in words
        assert stack.descendants() == []


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_twenty_jobs_survive_deaths_in_turn_and_together(tmp_path: Path) -> None:
    chance = random.Random(1)
    with Serving(tmp_path / "home") as stack, Rightfit(stack.url, tries=TRIES) as client:
        stack.wait_until_ready()
        undisturbed = client.submit(JOB)["id"]
        assert client.wait(undisturbed)["status"] == "succeeded"
        jobs = [client.submit(JOB | {"name": f"{number}"})["id"] for number in range(JOBS)]
        for number, deaths in enumerate(_rounds()):
            # A job may be lost twice; so each death meets another job.
            assert eventually(partial(_has_come_to, client, jobs, number), END_SECONDS)
            eventually(lambda: False, chance.uniform(0, 2))
            kill(stack, *deaths)
        ended = [client.wait(job) for job in jobs]
        assert [job["status"] for job in ended] == ["succeeded"] * JOBS
        expected = history(client, undisturbed)
        assert all(history(client, job) == expected for job in jobs)
        assert eventually(lambda: all_run(stack, 1), END_SECONDS)
        assert stack.process.poll() is None


def _rounds() -> Iterator[tuple[str, ...]]:
    one_round = [("worker",), ("api",), ("broker",), tuple(PARTS)]
    return itertools.chain.from_iterable([one_round] * ROUNDS)


def _has_come_to(client: Rightfit, jobs: list[str], number: int) -> bool:
    """Whether this job trains or has ended."""
    job = client.job(jobs[number])
    return bool(job["is_terminal"] or job["phase"] == "training")


@pytest.mark.long
def test_a_part_that_cannot_start_again_ends_the_stack(tmp_path: Path) -> None:
    broken, broker = tmp_path / "broken", tmp_path / "bin" / "valkey-server"
    broker.parent.mkdir()
    broker.write_text(f'#!/bin/sh\n[ -e {broken} ] && echo "no more today" && exit 7\nexec {broker_binary()} "$@"\n')
    broker.chmod(0o755)
    path = f"{broker.parent}:{os.environ['PATH']}"
    with Serving(tmp_path / "home", PATH=path) as stack:
        stack.wait_until_ready()
        broken.touch()
        kill(stack, "broker")
        code, words = stack.ended()
        assert code == 1
        assert "broker ended with exit code 7" in words
        assert "no more today" in words
        assert stack.descendants() == []
