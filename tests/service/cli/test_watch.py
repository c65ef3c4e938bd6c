"""Watching a job: in a pipe, in a terminal, to its end and not to its end."""

import json
import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import httpx
import pytest

from service.cli import session
from service.core.records.job import Outcome, Status, StopReason
from tests.ports import eventually, free_port
from tests.servers import LIFELINE, ROOT
from tests.service.cli.commands import Command, document
from tests.service.live import Live
from tests.service.worker_steps import claim, epoch, finish

LOSSES = (0.9, 0.5, 0.6)


def is_received(live: Live, version: str) -> bool:
    """Whether a client waits for a change after this version of a job."""
    return any(request.headers.get("if-none-match") == version for request in live.network.seen)


@contextmanager
def working(live: Live, tmp_path: Path, outcome: Outcome | None = None) -> Iterator[None]:
    """Runs the next job in another thread. An epoch follows when the client has received the one before."""

    def work() -> None:
        assert eventually(lambda: bool(live.parts.store.queries.list("default", 1, None, [], []).items))
        lease = claim(live.parts)
        for number, loss in enumerate(LOSSES, 1):
            live.parts.store.leases.append(lease, [epoch(number, loss, improved=number < 3)])
            version = httpx.get(f"{live.url}/v1/jobs/{lease.job_id}", trust_env=False).headers["etag"]
            assert eventually(partial(is_received, live, version))
        if outcome:
            live.parts.store.leases.finish(lease, outcome, [])
        else:
            finish(live.parts, lease, tmp_path)

    worker = threading.Thread(target=work)
    worker.start()
    try:
        yield
    finally:
        worker.join()


def test_a_job_is_watched_until_its_verdict(rightfit: Command, spec: str, live: Live, tmp_path: Path) -> None:
    with working(live, tmp_path):
        watched = rightfit("train", spec, "--watch")
    assert watched.exit_code == 0, watched.output
    for words in (
        "queued job_",
        "epoch 1: train loss",
        "best: epoch 2",
        "succeeded (max_epochs)",
        "rightfit fork job_",
    ):
        assert words in watched.stdout, words
    (job,) = document(rightfit("jobs", "--json"))["data"]
    again = rightfit("watch", job["id"], "--json")
    assert again.exit_code == 0
    assert document(again)["id"] == job["id"]
    assert document(again)["diagnosis"] == document(rightfit("diagnose", job["id"], "--json"))
    assert "best: epoch 2" in again.stderr


@pytest.mark.parametrize("status", [Status.FAILED, Status.CANCELLED])
def test_the_exit_code_is_that_of_the_job(
    rightfit: Command, spec: str, live: Live, tmp_path: Path, status: Status
) -> None:
    with working(live, tmp_path, Outcome(status, StopReason.DIVERGED)):
        watched = rightfit("train", spec, "--watch", "--json")
    assert (watched.exit_code, document(watched)["status"]) == (1, status)


class Terminal:
    """`rightfit` in a terminal of its own."""

    def __init__(self, url: str, *words: str) -> None:
        env = os.environ | {"RIGHTFIT_URL": url, "TERM": "xterm", "COLUMNS": "100", "LINES": "50"}
        ours, theirs = pty.openpty()
        # Tests that are run in the background ignore SIGINT, and what they start would too.
        listening = [*LIFELINE, "env", "--default-signal=INT", sys.executable, "-m", "service.cli", *words]
        self.process = subprocess.Popen(listening, cwd=ROOT, env=env, stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        self._text = b""
        self._reader = threading.Thread(target=self._read, args=(ours,))
        self._reader.start()

    def _read(self, ours: int) -> None:
        with open(ours, "rb", buffering=0) as screen:
            try:
                while block := screen.read(4096):
                    self._text += block
            except OSError:  # its other end is closed
                return

    @property
    def text(self) -> str:
        return self._text.decode(errors="replace")

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join()


def test_ctrl_c_in_a_live_view_leaves_the_job_running(rightfit: Command, spec: str, live: Live) -> None:
    job = document(rightfit("train", spec, "--json"))["id"]
    lease = claim(live.parts)
    with closing(Terminal(live.url, "watch", job)) as terminal:
        live.parts.store.leases.append(lease, [epoch(1, 0.9, improved=True)])
        assert eventually(lambda: "1/3 epochs" in terminal.text), terminal.text
        assert eventually(lambda: "best: epoch 1" in terminal.text), terminal.text
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.process.wait(120) == 130
        assert eventually(lambda: f"rightfit watch {job}" in terminal.text), terminal.text
        assert "Traceback" not in terminal.text
    assert document(rightfit("show", job, "--json"))["status"] == "running"


def test_watching_survives_a_short_outage(rightfit: Command, spec: str, live: Live, tmp_path: Path) -> None:
    job = document(rightfit("train", spec, "--json"))["id"]
    live.network.cut("/history", 0, times=2)
    with working(live, tmp_path):
        watched = rightfit("watch", job, "--json")
    assert watched.exit_code == 0, watched.output
    assert watched.stderr.count("cannot be reached, trying again") == 1
    assert json.loads(watched.stdout)["status"] == "succeeded"


@pytest.mark.parametrize("command", [("watch",), ("logs", "-f")])
def test_a_lost_service_ends_with_the_command_to_return(
    rightfit: Command, spec: str, live: Live, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    job = document(rightfit("train", spec, "--json"))["id"]
    live.parts.store.leases.finish(claim(live.parts), Outcome(Status.CANCELLED, StopReason.CANCELLED), [])
    monkeypatch.setattr(session, "PATIENT_TRIES", 2)
    live.network.cut("/logs" if "-f" in command else "/history", 0, times=2)
    lost = rightfit(*command, job)
    assert lost.exit_code == 4
    assert "cannot be reached, trying again" in lost.stderr
    assert f"Come back: rightfit {' '.join(command)} {job}" in lost.stderr


@pytest.mark.parametrize("command", [("watch",), ("logs",), ("logs", "-f")])
def test_an_unknown_service_is_not_waited_for(rightfit: Command, command: tuple[str, ...]) -> None:
    away = rightfit("--url", f"http://127.0.0.1:{free_port()}", *command, "job_1")
    assert away.exit_code == 4
    assert "trying again" not in away.stderr
