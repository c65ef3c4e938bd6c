"""The supervisor: claims a job, starts its trainer process, keeps the lease, passes on a cancellation, records the end.

Everything it writes is fenced by the attempt. Whoever loses the lease kills the trainer and writes nothing more.
"""

import contextlib
import logging
import os
import shutil
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext
from operator import itemgetter
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from service.core.errors import LeaseLost, StorageError
from service.core.history import Epoch
from service.core.jobs import Failure, Outcome, Phase, Status, StopReason
from service.core.settings import Settings
from service.core.storage import Artifact, LocalStorage
from service.core.store import Lease, Store
from workers.lease import LeaseKeeper
from workers.warm import LAST, Work, run_trainer

RELEASED = "released"  # the stop reason of a run that goes back into the queue
LOOK_SECONDS = 0.2  # how often the flags are looked at while the trainer is silent
RETRY_SECONDS = 0.5  # between two tries to reach the database
WRITE_SECONDS = 15.0  # for the last writes of a worker that must stop
EXIT_SECONDS = 10.0  # for a trainer to exit after its last word
AWAY = (OperationalError, InterfaceError, PoolTimeout)  # what passes; other errors of the database do not

T = TypeVar("T")

log = logging.getLogger(__name__)


@dataclass
class Run:
    """One trainer process and what it has reported of its end."""

    process: Any
    connection: Connection
    last_word: tuple[str, dict[str, Any]] | None = None
    told_to_stop: str | None = None
    kill_at: float = field(default=float("inf"))
    is_silent: bool = False

    def reports(self) -> list[tuple[str, dict[str, Any]]]:
        """What has arrived since the last look. After the trainer closed its end, the run is silent."""
        arrived = []
        try:
            while not self.is_silent and self.connection.poll():
                arrived.append(self.connection.recv())
        except (EOFError, OSError):
            self.is_silent = True
        return arrived

    def tell(self, reason: str, kill_after: float) -> None:
        """Ask the trainer, once, to stop at the next batch; it will be killed if it has not in so many seconds."""
        if self.told_to_stop is None:
            self.told_to_stop, self.kill_at = reason, time.monotonic() + kill_after
            try:
                self.connection.send(reason)
            except OSError:  # it is gone already; its end is seen by the caller
                log.debug("the trainer ended before it could be told to stop")


class Supervisor:
    """Runs one job at a time. `stop` may be called from any thread: the job goes back into the queue."""

    def __init__(self, settings: Settings, store: Store, storage: LocalStorage, context: ForkServerContext) -> None:
        self._settings, self._store, self._storage, self._context = settings, store, storage, context
        self._stopping = threading.Event()
        self._stop_by = float("inf")
        self.worker = f"{socket.gethostname()}:{os.getpid()}"

    def stop(self) -> None:
        """Take no more jobs and put the one that runs back into the queue."""
        self._stop_by = time.monotonic() + WRITE_SECONDS
        self._stopping.set()

    def run_next(self) -> str | None:
        """Claim and run the job that is first in the queue; returns its id, None where there was none."""
        if self._stopping.is_set():
            return None
        asked = time.monotonic()
        lease = self._store.claim(self.worker, self._settings.lease_seconds)
        if lease is None:
            return None
        log.info("job %s attempt %d claimed", lease.job_id, lease.attempt)
        folder = self._settings.home / "scratch" / lease.job_id / f"a{lease.attempt}"
        try:
            with LeaseKeeper(self._settings, self._store, lease, asked) as keeper:
                self._run(lease, keeper, folder)
        except LeaseLost as error:
            log.warning("%s; its trainer was ended, nothing more is written", error)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            with contextlib.suppress(OSError):  # another attempt has its folder beside ours
                folder.parent.rmdir()
        return lease.job_id

    def _run(self, lease: Lease, keeper: LeaseKeeper, folder: Path) -> None:
        """Supervise, and let no fault of our own leave the job behind as running."""
        try:
            self._supervise(lease, keeper, folder)
        except LeaseLost:
            raise
        except Exception as error:
            log.exception("job %s attempt %d failed", lease.job_id, lease.attempt)
            failure = Failure("infrastructure", "worker_error", f"{type(error).__name__}: {error}")
            outcome = Outcome(Status.FAILED, StopReason.INTERNAL_ERROR, failure)
            self._persist(keeper, lambda: self._store.finish(lease, outcome, []))

    def _supervise(self, lease: Lease, keeper: LeaseKeeper, folder: Path) -> None:
        folder.mkdir(parents=True)
        run = self._start(lease, folder)
        try:
            while run.process.is_alive():
                self._check(run, keeper)
                wait([run.process.sentinel] if run.is_silent else [run.connection, run.process.sentinel], LOOK_SECONDS)
                self._record(lease, keeper, run)
            self._record(lease, keeper, run)
        finally:
            run.process.kill()
            run.process.join()
            run.connection.close()
        if not self._was_interrupted(run):
            outcome = _outcome(run)
        elif self._persist(keeper, lambda: self._store.release(lease)):
            log.info("job %s attempt %d put back into the queue", lease.job_id, lease.attempt)
            return
        else:
            outcome = Outcome(Status.CANCELLED, StopReason.CANCELLED)
        outcome, published = self._publish(lease, folder, outcome)
        self._persist(keeper, lambda: self._store.finish(lease, outcome, published))
        log.info("job %s attempt %d %s: %s", lease.job_id, lease.attempt, outcome.status, outcome.stop_reason)

    def _was_interrupted(self, run: Run) -> bool:
        """Whether the run ended because this worker is stopping, and neither by itself nor by its owner's wish."""
        if run.last_word is None:
            return self._stopping.is_set() and run.told_to_stop != StopReason.CANCELLED
        return bool(run.last_word[1]["stop_reason"] == RELEASED)

    def _start(self, lease: Lease, folder: Path) -> Run:
        ours, theirs = self._context.Pipe()
        settings = self._settings
        work = Work(
            lease.job_id, lease.attempt, dict(lease.spec), str(folder), settings.threads, settings.resident_bytes
        )
        process = self._context.Process(target=run_trainer, args=(work, theirs), name=f"trainer-{lease.job_id}")
        process.start()
        theirs.close()
        return Run(process, ours)

    def _check(self, run: Run, keeper: LeaseKeeper) -> None:
        keeper.check()
        if keeper.cancel_requested:
            run.tell(StopReason.CANCELLED, self._settings.stop_seconds)
        elif self._stopping.is_set():
            run.tell(RELEASED, self._settings.stop_seconds)
        if time.monotonic() > run.kill_at:
            log.warning("%s did not stop in time and is killed", run.process.name)
            run.process.kill()

    def _record(self, lease: Lease, keeper: LeaseKeeper, run: Run) -> None:
        for kind, alike in groupby(run.reports(), key=itemgetter(0)):
            contents = [content for _, content in alike]
            if kind == "epoch":
                measured = [Epoch.measured(content) for content in contents]
                self._persist(keeper, partial(self._store.append, lease, measured))
            elif kind == "phase":
                self._persist(keeper, partial(self._store.enter, lease, Phase(contents[-1]["phase"])))
            else:
                run.last_word = (kind, contents[-1])
                run.kill_at = min(run.kill_at, time.monotonic() + EXIT_SECONDS)

    def _publish(self, lease: Lease, folder: Path, outcome: Outcome) -> tuple[Outcome, list[Artifact]]:
        """Put the files of the run into the storage; without its files, a run has not succeeded."""
        prefix = f"jobs/{lease.job_id}/a{lease.attempt}"
        files = sorted(path for path in folder.iterdir() if not path.name.startswith(".") and path.name != LAST)
        try:
            return outcome, [self._storage.put(f"{prefix}/{path.name}", path) for path in files]
        except StorageError as error:
            log.error("job %s: %s", lease.job_id, error)
            failure = Failure("infrastructure", error.code, str(error))
            return Outcome(Status.FAILED, StopReason.INTERNAL_ERROR, failure), []

    def _persist(self, keeper: LeaseKeeper, write: Callable[[], T]) -> T:
        """Write to the database; while it is away, again and again until the lease runs out or the worker must stop."""
        while True:
            try:
                return write()
            except AWAY as error:
                if time.monotonic() > self._stop_by:
                    raise LeaseLost("the worker must stop and the database is away") from error
                log.warning("cannot write, will try again: %s", error)
            time.sleep(RETRY_SECONDS)
            keeper.check()


def _outcome(run: Run) -> Outcome:
    if run.last_word is None:
        if run.told_to_stop == StopReason.CANCELLED:
            return Outcome(Status.CANCELLED, StopReason.CANCELLED)
        detail = f"the trainer process ended without a word, exit code {run.process.exitcode}"
        return Outcome(Status.FAILED, StopReason.INTERNAL_ERROR, Failure("infrastructure", "trainer_lost", detail))
    kind, said = run.last_word
    reason = StopReason(said["stop_reason"])
    if kind == "failed":
        return Outcome(Status.FAILED, reason, Failure(said["origin"], said["code"], said["detail"]))
    if reason is StopReason.CANCELLED:
        return Outcome(Status.CANCELLED, reason)
    if reason is StopReason.DIVERGED:
        best = said["best_epoch"]
        kept = f"the model of epoch {best} was kept" if best else "no model was good enough to keep"
        detail = f"the loss diverged in epoch {said['epochs']}; {kept}; try a lower lr"
        return Outcome(Status.FAILED, reason, Failure("user", "diverged", detail))
    return Outcome(Status.SUCCEEDED, reason)
