"""A whole deployment as child processes: broker, workers, APIs. Each can be killed, frozen and restarted."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psutil

from service.core.settings import Settings
from service.core.sql.worker_registry import WorkerRegistry
from service.stack.standalone import broker_binary
from tests.ports import eventually, free_port
from tests.servers import LIFELINE, ROOT

START_SECONDS = 200
END_SECONDS = 120


class Kept:
    """One process that is restarted whenever it ends, as an init system does."""

    def __init__(self, name: str, command: Sequence[str], log: Path, env: dict[str, str], delay: float = 0.0) -> None:
        self.name = name
        self.starts = 0
        self._command, self._log, self._env, self._delay = [*LIFELINE, *command], log, os.environ | env, delay
        self._over = threading.Event()
        self._process = self._started()
        self._thread = threading.Thread(target=self._keep, daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            self._process.send_signal(number)

    def freeze(self, seconds: float) -> None:
        """SIGSTOP to it alone, not to its children, and SIGCONT later; it may be killed in between."""
        process = self._process
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGSTOP)

        def thaw() -> None:
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)

        timer = threading.Timer(seconds, thaw)
        timer.daemon = True
        timer.start()

    def descendants(self) -> list[psutil.Process]:
        with suppress(psutil.NoSuchProcess):
            return psutil.Process(self.pid).children(recursive=True)
        return []

    def end(self) -> None:
        self._over.set()
        self.send(signal.SIGCONT)
        self.send(signal.SIGTERM)
        self._thread.join()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(20)
        self._process.kill()
        self._process.wait()

    def _started(self) -> subprocess.Popen[bytes]:
        self.starts += 1
        with self._log.open("ab") as log:
            return subprocess.Popen(self._command, cwd=ROOT, env=self._env, stdout=log, stderr=log)

    def _keep(self) -> None:
        while not self._over.is_set():
            try:
                self._process.wait(0.1)
            except subprocess.TimeoutExpired:
                continue
            if not self._over.wait(self._delay):
                self._process = self._started()


class Deployment:
    """Workers and APIs over one database, one storage and one broker; nothing else is shared."""

    def __init__(
        self, settings: Settings, workers: int, apis: int, host: str = "127.0.0.1", within: Sequence[Sequence[str]] = ()
    ) -> None:
        """The broker listens at `host`; `within` has the words of each worker that go before its command."""
        home = settings.home
        home.mkdir(parents=True, exist_ok=True)
        port = free_port()
        self.settings = replace(settings, redis_url=f"redis://{host}:{port}/0")
        broker = [broker_binary(), "--port", str(port), "--bind", host, "--save", "", "--dir", str(home)]
        broker += ["--protected-mode", "no"]
        self.broker = Kept("broker", broker, home / "broker.log", {}, delay=1.0)
        self.urls: list[str] = []
        self.apis: list[Kept] = []
        for number in range(apis):
            own = replace(self.settings, port=free_port())
            self.urls.append(f"http://127.0.0.1:{own.port}")
            command = [sys.executable, "-m", "gunicorn", "-c", "deploy/gunicorn.conf.py", "service.wsgi:app"]
            self.apis.append(Kept(f"api {number}", command, home / f"api-{number}.log", own.to_env()))
        self.workers: list[Kept] = []
        for number in range(workers):
            own = replace(self.settings, home=home / f"worker-{number}")  # each as if on a machine of its own
            command = [*(within[number] if within else ()), sys.executable, "-m", "workers"]
            self.workers.append(Kept(f"worker {number}", command, home / f"worker-{number}.log", own.to_env()))

    def trainers(self) -> list[psutil.Process]:
        """The processes that the forkservers of the workers have forked."""
        trainers = []
        for worker in self.workers:
            for process in worker.descendants():
                with suppress(psutil.NoSuchProcess):
                    parent = process.parent()
                    if parent is not None and parent.pid != worker.pid and parent.ppid() == worker.pid:
                        trainers.append(process)
        return trainers

    def wait_until_ready(self, registry: WorkerRegistry) -> None:
        def ready() -> bool:
            return len(registry.live_workers(START_SECONDS)) >= len(self.workers)

        assert eventually(ready, START_SECONDS), "the workers did not start"

    def end(self) -> None:
        started = time.monotonic()
        for part in (*self.apis, *self.workers, self.broker):
            part._over.set()
            part.send(signal.SIGCONT)
            part.send(signal.SIGTERM)
        for part in (*self.apis, *self.workers, self.broker):
            part.end()
        assert time.monotonic() - started < END_SECONDS, "the processes did not end in time"
