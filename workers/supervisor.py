"""The supervisor: claims a job, starts its trainer process, keeps the lease, passes on wishes, records the end.

Everything it writes is fenced by the attempt. Whoever loses the lease kills the trainer and writes nothing more.
"""

import logging
import os
import signal
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

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from service.core.changes import too_often
from service.core.errors import CheckpointMismatch, LeaseLost, ObjectMissing, StorageError
from service.core.history import Epoch
from service.core.jobs import Checkpoint, Failure, Loss, Outcome, Phase, Status, StopReason, Wish, superfluous
from service.core.settings import Settings
from service.core.storage import Artifact, Storage
from service.core.store import Lease, Store
from workers.lease import LeaseKeeper
from workers.scratch import BEST_MODEL, Scratch
from workers.uploads import Uploads
from workers.warm import RELEASED, Work, run_trainer

LOOK_SECONDS = 0.2  # how often the flags are looked at while the trainer is silent
RETRY_SECONDS = 0.5  # between two tries to reach the database
WRITE_SECONDS = 15.0  # for the last writes of a worker that must stop
EXIT_SECONDS = 10.0  # for a trainer to exit after its last word

T = TypeVar("T")

log = logging.getLogger(__name__)


@dataclass
class Run:
    """One trainer process and what it has reported."""

    process: Any
    connection: Connection
    last_word: tuple[str, dict[str, Any]] | None = None
    told_to_stop: str | None = None
    kill_at: float = field(default=float("inf"))
    is_silent: bool = False
    phase: Phase = Phase.PREPARING
    steps: int = 0
    advanced: float = field(default_factory=time.monotonic)
    has_stalled: bool = False
    held_until: float = 0.0

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
            self._send("stop", reason)

    def extend(self, until: float) -> None:
        """Tell the trainer how long our lease lasts: it ends itself then, should we be frozen and not end it."""
        if until != self.held_until:
            self.held_until = until
            self._send("held_until", until)

    def is_stalled(self, seconds: float) -> bool:
        """Whether it has not trained a batch for so long, while that is what it should do."""
        return self.phase is Phase.TRAINING and time.monotonic() - self.advanced > seconds

    def advance(self, steps: int) -> None:
        """It has trained so many batches by now."""
        if steps != self.steps:
            self.steps, self.advanced = steps, time.monotonic()

    def enter(self, phase: Phase) -> None:
        self.phase, self.advanced = phase, time.monotonic()

    def _send(self, kind: str, content: object) -> None:
        try:
            self.connection.send((kind, content))
        except OSError:  # it is gone already; its end is seen by the caller
            log.debug("the trainer ended before it could be told of %s", kind)


class Supervisor:
    """Runs one job at a time. `stop` may be called from any thread: the job goes back into the queue."""

    def __init__(self, settings: Settings, store: Store, storage: Storage, context: ForkServerContext) -> None:
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
        scratch = Scratch(self._settings.home / "scratch" / lease.job_id / f"a{lease.attempt}")
        try:
            with LeaseKeeper(self._settings, self._store, lease, asked) as keeper:
                self._run(lease, keeper, scratch)
        except LeaseLost as error:
            log.warning("%s; its trainer was ended, nothing more is written", error)
        return lease.job_id

    def _run(self, lease: Lease, keeper: LeaseKeeper, scratch: Scratch) -> None:
        """Supervise, and let no fault of our own leave the job behind as running."""
        try:
            with scratch.held():
                self._supervise(lease, keeper, scratch)
        except LeaseLost:
            raise
        except Exception as error:
            log.exception("job %s attempt %d failed", lease.job_id, lease.attempt)
            code = error.code if isinstance(error, StorageError) else "worker_error"
            failure = Failure("infrastructure", code, f"{type(error).__name__}: {error}")
            self._end(lease, keeper, Outcome(Status.FAILED, StopReason.INTERNAL_ERROR, failure), [])

    def _supervise(self, lease: Lease, keeper: LeaseKeeper, scratch: Scratch) -> None:
        if lease.attempt > 1:
            self._take_up(lease, keeper, scratch)
        run = self._start(lease, keeper, scratch)
        with Uploads(partial(self._keep, lease, keeper, scratch)) as uploads:
            try:
                while run.process.is_alive():
                    self._check(run, keeper)
                    uploads.check()
                    ends = [run.process.sentinel]
                    wait(ends if run.is_silent else [run.connection, *ends], LOOK_SECONDS)
                    self._record(lease, keeper, run, uploads)
                self._record(lease, keeper, run, uploads)
            finally:
                run.process.kill()
                run.process.join()
                run.connection.close()
            uploads.drain()
        if self._was_interrupted(run):
            if status := self._persist(keeper, partial(self._store.release, lease, is_leaving=self._stopping.is_set())):
                log.info("job %s attempt %d is %s", lease.job_id, lease.attempt, status)
                return
            outcome = Outcome(Status.CANCELLED, StopReason.CANCELLED)
        else:
            outcome = _outcome(run, self._settings.stall_seconds)
        outcome, published = self._publish(lease, keeper, scratch, outcome, run)
        self._end(lease, keeper, outcome, published)

    def _take_up(self, lease: Lease, keeper: LeaseKeeper, scratch: Scratch) -> None:
        """Fetch the newest checkpoint that is whole; what was recorded after it is trained, and recorded, again."""
        found: Checkpoint | None = None
        for checkpoint in lease.checkpoints:
            try:
                self._storage.get(checkpoint.last, scratch.last)
            except ObjectMissing as error:
                log.warning("job %s: %s", lease.job_id, error)
            else:
                found = checkpoint
                break
        self._persist(keeper, partial(self._store.rewind, lease, found))

    def _was_interrupted(self, run: Run) -> bool:
        """Whether the run ended because it was told to let go of the job, and not by itself or for good."""
        if run.last_word is None:
            return run.told_to_stop == RELEASED
        return bool(run.last_word[1]["stop_reason"] == RELEASED)

    def _start(self, lease: Lease, keeper: LeaseKeeper, scratch: Scratch) -> Run:
        ours, theirs = self._context.Pipe()
        settings = self._settings
        work = Work(
            lease.job_id, lease.attempt, dict(lease.spec), str(scratch.folder), settings.threads, keeper.held_until,
            settings.checkpoint_seconds, settings.resident_bytes,
        )  # fmt: skip
        process = self._context.Process(target=run_trainer, args=(work, theirs), name=f"trainer-{lease.job_id}")
        process.start()
        theirs.close()
        return Run(process, ours, held_until=keeper.held_until)

    def _check(self, run: Run, keeper: LeaseKeeper) -> None:
        keeper.check()
        run.extend(keeper.held_until)
        patience = 0.0 if run.phase is Phase.PREPARING else self._settings.stop_seconds  # nothing is lost by then
        if keeper.wish is Wish.CANCEL:
            run.tell(StopReason.CANCELLED, patience)
        elif keeper.wish is Wish.PAUSE or self._stopping.is_set():
            run.tell(RELEASED, patience)
        if time.monotonic() > run.kill_at:
            log.warning("%s did not stop in time and is killed", run.process.name)
            run.process.kill()
        elif run.is_stalled(self._settings.stall_seconds):
            log.warning("%s has stalled and is killed", run.process.name)
            run.has_stalled = True
            run.process.kill()

    def _record(self, lease: Lease, keeper: LeaseKeeper, run: Run, uploads: Uploads[dict[str, Any]]) -> None:
        for kind, alike in groupby(run.reports(), key=itemgetter(0)):
            contents = [content for _, content in alike]
            last = contents[-1]
            match kind:
                case "steps":
                    run.advance(last["steps"])
                case "epoch":
                    measured = [Epoch.measured(content) for content in contents]
                    self._persist(keeper, partial(self._store.append, lease, measured))
                case "checkpoint":
                    uploads.offer(last)
                case "phase":
                    run.enter(Phase(last["phase"]))
                    self._persist(keeper, partial(self._store.enter, lease, run.phase))
                case _:
                    run.last_word = (kind, last)
                    run.kill_at = min(run.kill_at, time.monotonic() + EXIT_SECONDS)

    def _keep(self, lease: Lease, keeper: LeaseKeeper, scratch: Scratch, said: dict[str, Any]) -> None:
        """Store a checkpoint where any worker finds it. One that cannot be stored is passed over: others follow."""
        keeper.check()
        last, best = scratch.saved(said["number"])
        prefix = f"{_checkpoints(lease)}/{said['number']}"
        try:
            checkpoint = Checkpoint(
                last=self._storage.put(f"{prefix}/last.pt", last),
                best=self._storage.put(f"{prefix}/best_model.pth", best) if said["best_epoch"] else None,
                epochs=said["epochs"],
                best_epoch=said["best_epoch"],
            )
        except StorageError as error:
            log.warning("a checkpoint of job %s is not kept: %s", lease.job_id, error)
            return
        for old in self._persist(keeper, partial(self._store.keep, lease, checkpoint)):
            self._drop(str(Path(old.last.key).parent))

    def _end(self, lease: Lease, keeper: LeaseKeeper, outcome: Outcome, published: list[Artifact]) -> None:
        """Record how the attempt ended; where the infrastructure failed it, it is tried again later."""
        if outcome.error and outcome.error.code == CheckpointMismatch.code:
            self._persist(keeper, partial(self._store.rewind, lease, next(iter(lease.checkpoints[1:]), None)))
        if outcome.error and outcome.error.origin == "infrastructure" and outcome.stop_reason != "out_of_memory":
            cause = outcome.error.detail
            status = self._persist(keeper, partial(self._store.lose, lease, cause, self._settings.retries))
            if status is not None:
                log.warning("job %s attempt %d is %s again: %s", lease.job_id, lease.attempt, status, cause)
                return
            if outcome.stop_reason is StopReason.WORKER_LOST:
                losses = (*lease.losses, Loss(lease.attempt, self.worker, cause))
                outcome = Outcome(Status.FAILED, StopReason.WORKER_LOST, too_often(losses))
        outcome = self._persist(keeper, partial(self._store.finish, lease, outcome, published))
        log.info("job %s attempt %d %s: %s", lease.job_id, lease.attempt, outcome.status, outcome.stop_reason)
        if outcome.status is not Status.FAILED:  # which may be retried
            self._clean(lease, published)

    def _publish(
        self, lease: Lease, keeper: LeaseKeeper, scratch: Scratch, outcome: Outcome, run: Run
    ) -> tuple[Outcome, list[Artifact]]:
        """Put the files of the run into the storage; without its files, a run has not succeeded.

        Those of a trainer that was killed may be newer than its last report; its last checkpoint's are not.
        """
        keeper.check()
        if run.last_word is None and self._store.checkpoints(lease.job_id):
            return outcome, []
        prefix = f"jobs/{lease.job_id}/a{lease.attempt}"
        try:
            files = scratch.published()
            return outcome, [self._storage.put(f"{prefix}/{path.name}", path) for path in files]
        except StorageError as error:
            log.error("job %s: %s", lease.job_id, error)
            failure = Failure("infrastructure", error.code, str(error))
            return Outcome(Status.FAILED, StopReason.INTERNAL_ERROR, failure), []

    def _clean(self, lease: Lease, published: list[Artifact]) -> None:
        """Drop the checkpoints of an ended job and what its lost attempts have left."""
        if all(artifact.name != BEST_MODEL for artifact in published):  # it may be that of a checkpoint
            for key in superfluous(self._store.checkpoints(lease.job_id)):
                self._drop(key)
            return
        for attempt in range(1, lease.attempt):
            self._drop(f"jobs/{lease.job_id}/a{attempt}")
        self._drop(_checkpoints(lease))

    def _drop(self, prefix: str) -> None:
        try:
            self._storage.delete(prefix)
        except StorageError as error:
            log.warning("something is left in the storage: %s", error)

    def _persist(self, keeper: LeaseKeeper, write: Callable[[], T]) -> T:
        """Write to the database; while it is away, again and again until the lease runs out or the worker must stop."""
        while True:
            keeper.check()
            try:
                return write()
            except (DBAPIError, PoolTimeout) as error:
                if not _is_away(error):
                    raise
                if time.monotonic() > self._stop_by:
                    raise LeaseLost("the worker must stop and the database is away") from error
                log.warning("cannot write, will try again: %s", error)
            time.sleep(RETRY_SECONDS)


def _is_away(error: DBAPIError | PoolTimeout) -> bool:
    """Whether it will pass: the database cannot be reached, or has hung up on us; other errors do not."""
    gone = isinstance(error, OperationalError | InterfaceError | PoolTimeout)
    return gone or (isinstance(error, DBAPIError) and error.connection_invalidated)


def _checkpoints(lease: Lease) -> str:
    return f"jobs/{lease.job_id}/a{lease.attempt}/checkpoints"


def _outcome(run: Run, stall_seconds: float) -> Outcome:
    if run.last_word is None:
        if run.told_to_stop == StopReason.CANCELLED:
            return Outcome(Status.CANCELLED, StopReason.CANCELLED)
        if run.has_stalled:
            failure = Failure("infrastructure", "stalled", f"the trainer trained no batch for {stall_seconds:g} s")
        else:
            failure = Failure("infrastructure", "trainer_lost", _how_it_died(run.process.exitcode))
        return Outcome(Status.FAILED, StopReason.WORKER_LOST, failure)
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


def _how_it_died(exitcode: int) -> str:
    if exitcode >= 0:
        return f"the trainer process ended without a word, exit code {exitcode}"
    name = signal.Signals(-exitcode).name
    hint = ", as when the machine's memory runs out (a smaller batch_size or model may help)"
    return f"the trainer process was killed by {name}{hint if name == 'SIGKILL' else ''}"
