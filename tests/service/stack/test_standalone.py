"""`rightfit serve` as a person runs it: starts, refuses, is interrupted, is killed."""

import json
import socket
import time
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from service.core.errors import SettingsError
from service.core.settings import Settings
from service.stack import standalone
from service.stack.processes import PartDied
from service.stack.standalone import WORKER_STOP_SECONDS, refuse_open_door
from tests.conftest import START_SECONDS, Redis, Serving
from tests.ports import eventually, free_port

ANYWHERE = "0.0.0.0"  # noqa: S104 - what must be refused
ENDLESS: dict[str, Any] = {
    "dataset": {"id": "digits", "train_limit": 100},
    "model": {"arch": "mlp", "hidden": [8]},
    "epochs": 100_000,
    "early_stopping": None,
}


def submit(url: str) -> str:
    job: dict[str, Any] = httpx.post(f"{url}/v1/jobs", json=ENDLESS).json()
    return str(job["links"]["self"])


def look(url: str, path: str) -> dict[str, Any]:
    job: dict[str, Any] = httpx.get(url + path).json()
    return job


def is_training(url: str, path: str) -> bool:
    return bool(look(url, path)["progress"]["epoch"] >= 1)


def is_warming_up(stack: Serving) -> bool:
    return any("multiprocessing.forkserver" in " ".join(command(process)) for process in stack.descendants())


def command(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:  # the process ended
        return []


def is_broker(process: psutil.Process) -> bool:
    return any(name in " ".join(command(process)) for name in ("valkey-server", "redis-server"))


def test_a_job_survives_ctrl_c_and_continues_at_the_next_start(tmp_path: Path) -> None:
    with Serving(tmp_path / "home", "--json") as first:
        first.wait_until_ready()
        assert [oct(each.stat().st_mode)[-3:] for each in (first.home, first.home / "rightfit.db")] == ["700", "600"]
        path = submit(first.url)
        assert eventually(lambda: is_training(first.url, path), START_SECONDS)
        assert len(first.descendants()) >= 6, "broker, API and its process, worker, warm server, trainer"
        code, words = first.interrupt()
        assert (code, "Stopped." in words) == (0, True), words
        assert first.descendants() == []
        (places,) = [json.loads(line) for line in words.splitlines() if line.startswith("{")]
        assert places == {"url": first.url, "docs": f"{first.url}/docs/index", "logs": f"{first.home}/logs"}
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", int(first.url.rpartition(":")[2]))) != 0

    with Serving(tmp_path / "home") as second:
        second.wait_until_ready()
        assert eventually(lambda: is_training(second.url, path))
        assert eventually(lambda: look(second.url, path)["attempt"] == 2)
        assert [t["status"] for t in look(second.url, path)["transitions"]] == [
            "queued",
            "running",
            "queued",
            "running",
        ]
        assert any(is_broker(process) for process in second.descendants())
        second.process.kill()
        second.ended()
        assert eventually(lambda: not second.descendants(), 60), "nothing outlives a stack that was killed"


@pytest.mark.long
def test_ctrl_c_while_it_starts_ends_it_within_seconds(tmp_path: Path) -> None:
    with Serving(tmp_path / "home") as stack:
        assert eventually(lambda: is_warming_up(stack)), "the worker's server imports torch"
        started = time.monotonic()
        code, words = stack.interrupt()
        assert code == 0, words
        assert "is ready" not in words
        assert stack.descendants() == []
        assert time.monotonic() - started < WORKER_STOP_SECONDS, "no process had to be killed"


@pytest.mark.long
def test_a_stack_killed_during_its_start_leaves_nothing(tmp_path: Path) -> None:
    with Serving(tmp_path / "home") as stack:
        assert eventually(lambda: is_warming_up(stack))
        stack.process.kill()
        stack.ended()
        assert eventually(lambda: not stack.descendants(), 60)


def test_a_taken_port_is_reported_at_once(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with Serving(tmp_path / "home", RIGHTFIT_PORT=str(port)) as stack:
            code, words = stack.ended()
    assert code == 1
    assert f"port {port} on 127.0.0.1 cannot be used" in words


def test_a_home_is_for_one_stack_at_a_time(serving: Serving) -> None:
    with Serving(serving.home) as other:
        code, words = other.ended()
    assert code == 1
    assert "another Rightfit runs in" in words
    assert (serving.home / "stack.json").exists(), "the state of the other stack"


@pytest.mark.long
def test_a_configured_redis_is_used_and_not_stopped(tmp_path: Path, own_redis: Redis) -> None:
    with Serving(tmp_path / "home", RIGHTFIT_REDIS_URL=own_redis.url) as stack:
        stack.wait_until_ready()
        assert not any(is_broker(process) for process in stack.descendants())
        path = submit(stack.url)
        assert eventually(lambda: is_training(stack.url, path))
        assert stack.interrupt()[0] == 0
    assert own_redis.answers()


def test_a_redis_that_cannot_be_reached_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standalone, "BROKER_SECONDS", 0.5)
    url = f"redis://127.0.0.1:{free_port()}/0"
    settings = Settings.from_env({"RIGHTFIT_HOME": str(tmp_path / "home"), "RIGHTFIT_REDIS_URL": url})
    with pytest.raises(PartDied, match=f"Redis at {url} was not ready"), standalone.Stack(settings):
        pass


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "sqlite:////proc/no/such.db"),
        pytest.param("THREADS", "many", marks=pytest.mark.long),
        pytest.param("REDIS_URL", "nonsense", marks=pytest.mark.long),
    ],
)
def test_a_bad_setting_is_reported_in_one_line(tmp_path: Path, name: str, value: str) -> None:
    with Serving(tmp_path / "home", **{f"RIGHTFIT_{name}": value}) as stack:
        code, words = stack.ended()
    assert code == 1
    assert f"RIGHTFIT_{name} " in words
    assert "Traceback" not in words


@pytest.mark.parametrize(
    ("host", "is_refused"),
    [("127.0.0.1", False), ("::1", False), ("localhost", False), (ANYWHERE, True), ("example.org", True)],
)
def test_an_open_port_without_keys_is_refused_by_default(host: str, is_refused: bool) -> None:
    closed = Settings.from_env({"RIGHTFIT_HOST": host})
    if is_refused:
        with pytest.raises(SettingsError, match="RIGHTFIT_ALLOW_NO_AUTH=yes"):
            refuse_open_door(closed)
    else:
        refuse_open_door(closed)
    refuse_open_door(Settings.from_env({"RIGHTFIT_HOST": host, "RIGHTFIT_ALLOW_NO_AUTH": "yes"}))
