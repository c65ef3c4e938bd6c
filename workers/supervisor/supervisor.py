"""The supervisor: claims a job, starts its trainer process, keeps the lease, passes on wishes, records the end.

Everything it writes is fenced by the attempt. Whoever loses the lease kills the trainer and writes nothing more.
"""

import logging
import os
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from itertools import groupby
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerContext
from operator import itemgetter
from pathlib import Path
from typing import Any, TypeVar

from service.core.errors import (
    CheckpointMismatch,
    DatabaseUnavailable,
    LeaseLost,
    ObjectMissing,
    SpecNotUnderstood,
    StorageError,
)
from service.core.records.artifact_names import BEST_MODEL
from service.core.records.capacity import Capacity
from service.core.records.epoch import Epoch
from service.core.records.job import (
    Checkpoint,
    ControlRequest,
    Failure,
    LostAttempt,
    Outcome,
    Phase,
    Status,
    StopReason,
    superfluous,
)
from service.core.records.job_log import LogLine
from service.core.records.lease import Lease
from service.core.settings import Settings
from service.core.sql.jobs.leases import JobLeases
from service.core.sql.jobs.transitions import too_often
from service.core.storage import Artifact, Storage, discard
from workers.datasets.cache import DatasetCache
from workers.scratch import Scratch
from workers.supervisor.checkpoint_uploads import Uploads
from workers.supervisor.forkserver import RELEASED, TrainerArgs, run_trainer
from workers.supervisor.lease import LeaseKeeper
from workers.supervisor.trainer_handle import TrainerHandle
from workers.supervisor.trainer_log import TrainerLog
from workers.telemetry.metrics import LEASE_LOST, LOST, PUT_BACK
from workers.telemetry.observer import Attempt, Observer

LOOK_SECONDS = 0.2  # how often the flags are looked at while the trainer is silent
LOG_SECONDS = 1.0  # how often what the trainer has written is recorded
RETRY_SECONDS = 0.5  # between two tries to reach the database
WRITE_SECONDS = 15.0  # for the last writes of a worker that must stop
EXIT_SECONDS = 10.0  # for a trainer to exit after its last word

MOST_BEYOND = 1_000  # jobs that are remembered as left to a newer worker

T = TypeVar("T")

log = logging.getLogger(__name__)


class Supervisor:
    """Runs one job at a time. `stop` may be called from any thread: the job goes back into the queue."""

    def __init__(
        self, settings: Settings, store: JobLeases, storage: Storage, shelf: DatasetCache, context: ForkServerContext,
        capacity: Capacity | None = None, observer: Observer | None = None,
    ) -> None:  # fmt: skip
        """Takes only jobs that fit the capacity (None: any)."""
        self._settings, self._store, self._storage, self._context = settings, store, storage, context
        self._capacity = capacity
        self._shelf, self._observer = shelf, observer or Observer()
        self._seen: Attempt  # of the job that is run
        self._beyond: deque[str] = deque(maxlen=MOST_BEYOND)  # jobs of a newer release, which we do not understand
        self._stopping = threading.Event()
        self._stop_by = float("inf")
        self.holding = threading.Lock()  # locked while it holds a job
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
        lease = self._store.claim(self.worker, self._settings.lease_seconds, self._capacity, tuple(self._beyond))
        if lease is None:
            return None
        scratch = Scratch(self._settings.home / "scratch" / lease.job_id / f"a{lease.attempt}")
        with self.holding, self._observer.watching(lease) as self._seen:
            log.info("job %s attempt %d claimed", lease.job_id, lease.attempt)
            try:
                with LeaseKeeper(self._settings, self._store, lease, asked, self._observer.meters) as keeper:
                    self._run(lease, keeper, scratch)
            except LeaseLost as error:
                self._seen.became(LEASE_LOST)
                log.warning("%s; its trainer was ended, nothing more is written", error)
        return lease.job_id

    def _run(self, lease: Lease, keeper: LeaseKeeper, scratch: Scratch) -> None:
        """Supervise, and let no fault of our own leave the job behind as running."""
        try:
            with scratch.held(), self._shelf.checkout(lease.spec["dataset"]["id"]) as pack:
                self._supervise(lease, keeper, scratch, pack)
        except LeaseLost:
            raise
        except Exception as error:
            log.exception("job %s attempt %d failed", lease.job_id, lease.attempt)
            code = error.code if isinstance(error, StorageError) else "worker_error"
            failure = Failure("infrastructure", code, f"{type(error).__name__}: {error}")
            self._end(lease, keeper, Outcome(Status.FAILED, StopReason.INTERNAL_ERROR, failure), [])

    def _supervise(self, lease: Lease, keeper: LeaseKeeper, scratch: Scratch, pack: Path | None) -> None:
        if lease.attempt > 1:
            self._take_up(lease, keeper, scratch)
        run = self._start(lease, keeper, scratch, pack)
        transcript = TrainerLog(scratch.log)
        with Uploads(partial(self._keep, lease, keeper, scratch)) as uploads:
            try:
                while run.process.is_alive():
                    self._check(run, keeper)
                    uploads.check()
                    ends = [run.process.sentinel]
                    wait(ends if run.is_silent else [run.connection, *ends], LOOK_SECONDS)
                    self._record(lease, keeper, run, uploads)
                    if time.monotonic() - transcript.read_at > LOG_SECONDS:
                        self._log(lease, keeper, transcript.read())
                self._record(lease, keeper, run, uploads)
            finally:
                run.process.kill()
                run.process.join()
                run.connection.close()
            uploads.drain()
        self._log(lease, keeper, transcript.rest())
        if run.was_interrupted:
            if status := self._persist(keeper, partial(self._store.release, lease, is_leaving=self._stopping.is_set())):
                self._seen.became(PUT_BACK)
                log.info("job %s attempt %d is %s", lease.job_id, lease.attempt, status)
                return
            outcome = Outcome(Status.CANCELLED, StopReason.CANCELLED)
        else:
            outcome = run.outcome(self._settings.stall_seconds)
            if run.last_word is None and outcome.error:
                self._log(lease, keeper, [LogLine(time.time(), "error", outcome.error.detail)])
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

    def _start(self, lease: Lease, keeper: LeaseKeeper, scratch: Scratch, pack: Path | None) -> TrainerHandle:
        ours, theirs = self._context.Pipe()
        settings = self._settings
        work = TrainerArgs(
            lease.job_id, lease.attempt, self.worker, dict(lease.spec), str(scratch.folder), settings.threads,
            keeper.held_until, settings.checkpoint_seconds, settings.resident_bytes, str(pack) if pack else None,
            str(settings.home / "datasets" / "published"),
        )  # fmt: skip
        process = self._context.Process(target=run_trainer, args=(work, theirs), name=f"trainer-{lease.job_id}")
        process.start()
        theirs.close()
        return TrainerHandle(process, ours, held_until=keeper.held_until)

    def _check(self, run: TrainerHandle, keeper: LeaseKeeper) -> None:
        keeper.check()
        run.extend(keeper.held_until)
        patience = 0.0 if run.phase is Phase.PREPARING else self._settings.stop_seconds  # nothing is lost by then
        if keeper.wish is ControlRequest.CANCEL:
            run.tell(StopReason.CANCELLED, patience)
        elif keeper.wish is ControlRequest.PAUSE or self._stopping.is_set():
            run.tell(RELEASED, patience)
        if time.monotonic() > run.kill_at:
            log.warning("%s did not stop in time and is killed", run.process.name)
            run.process.kill()
        elif run.is_stalled(self._settings.stall_seconds):
            log.warning("%s has stalled and is killed", run.process.name)
            run.has_stalled = True
            run.process.kill()

    def _record(self, lease: Lease, keeper: LeaseKeeper, run: TrainerHandle, uploads: Uploads[dict[str, Any]]) -> None:
        for kind, alike in groupby(run.reports(), key=itemgetter(0)):
            contents = [content for _, content in alike]
            last = contents[-1]
            match kind:
                case "steps":
                    run.advance(last["steps"])
                    self._seen.stepped(last["steps"])
                case "epoch":
                    measured = [Epoch.measured(content) for content in contents]
                    self._persist(keeper, partial(self._store.append, lease, measured))
                    self._seen.completed(measured)
                case "checkpoint":
                    uploads.offer(last)
                case "facts":
                    for content in contents:
                        self._persist(keeper, partial(self._store.record_facts, lease, content))
                case "diagnosis":
                    for content in contents:
                        self._persist(keeper, partial(self._store.record_diagnosis, lease, content))
                case "phase":
                    run.enter(Phase(last["phase"]))
                    self._seen.enter(run.phase)
                    self._persist(keeper, partial(self._store.set_phase, lease, run.phase))
                case _:
                    run.last_word = (kind, last)
                    run.kill_at = min(run.kill_at, time.monotonic() + EXIT_SECONDS)

    def _log(self, lease: Lease, keeper: LeaseKeeper, lines: list[LogLine]) -> None:
        """Record what the trainer has written, and say here too what is more than its ordinary course."""
        for line in lines:
            if line.level != "info":
                log.warning("job %s attempt %d: %s: %s", lease.job_id, lease.attempt, line.level, line.message)
        if lines:
            self._persist(keeper, partial(self._store.write_log, lease, lines))

    def _keep(self, lease: Lease, keeper: LeaseKeeper, scratch: Scratch, said: dict[str, Any]) -> None:
        """Store a checkpoint where any worker finds it. One that cannot be stored is passed over: others follow."""
        keeper.check()
        last, best = scratch.saved(said["number"])
        prefix = f"{_checkpoints(lease)}/{said['number']}"
        try:
            with self._seen.checkpoint():
                checkpoint = Checkpoint(
                    last=self._storage.put(f"{prefix}/last.pt", last),
                    best=self._storage.put(f"{prefix}/{BEST_MODEL}", best) if said["best_epoch"] else None,
                    epochs=said["epochs"],
                    best_epoch=said["best_epoch"],
                )
        except StorageError as error:
            log.warning("a checkpoint of job %s is not kept: %s", lease.job_id, error)
            return
        self._seen.stored(checkpoint.last.bytes + (checkpoint.best.bytes if checkpoint.best else 0))
        for old in self._persist(keeper, partial(self._store.record_checkpoint, lease, checkpoint)):
            discard(self._storage, str(Path(old.last.key).parent))

    def _end(self, lease: Lease, keeper: LeaseKeeper, outcome: Outcome, published: list[Artifact]) -> None:
        """Record how the attempt ended; where the infrastructure failed it, it is tried again later."""
        if outcome.error and outcome.error.code == SpecNotUnderstood.code and self._left(lease, keeper, outcome.error):
            return
        if outcome.error and outcome.error.code == CheckpointMismatch.code:
            self._persist(keeper, partial(self._store.rewind, lease, next(iter(lease.checkpoints[1:]), None)))
        if outcome.error and outcome.error.origin == "infrastructure" and outcome.stop_reason != "out_of_memory":
            cause = outcome.error.detail
            self._seen.failed_us()
            status = self._persist(
                keeper, partial(self._store.record_lost_attempt, lease, cause, self._settings.retries)
            )
            if status is not None:
                self._seen.became(LOST)
                log.warning("job %s attempt %d is %s again: %s", lease.job_id, lease.attempt, status, cause)
                return
            if outcome.stop_reason is StopReason.WORKER_LOST:
                losses = (*lease.lost_attempts, LostAttempt(lease.attempt, self.worker, cause))
                outcome = Outcome(Status.FAILED, StopReason.WORKER_LOST, too_often(losses))
        outcome = self._persist(keeper, partial(self._store.finish, lease, outcome, published))
        self._seen.became(outcome.status)
        log.info("job %s attempt %d %s: %s", lease.job_id, lease.attempt, outcome.status, outcome.stop_reason)
        if outcome.status is not Status.FAILED:  # which may be retried
            self._clean(lease, published)

    def _left(self, lease: Lease, keeper: LeaseKeeper, why: Failure) -> bool:
        """Whether the job was left to a newer worker: back in the queue at once, and no loss of the job's. We do not
        take it again.
        """
        told = f"left to a newer worker: {why.detail}"
        self._log(lease, keeper, [LogLine(time.time(), "warning", told)])
        if self._persist(keeper, partial(self._store.release, lease, is_leaving=False)) is None:
            return False  # it is to be cancelled, which takes no understanding
        self._seen.became(PUT_BACK)
        self._beyond.append(lease.job_id)
        return True

    def _publish(
        self, lease: Lease, keeper: LeaseKeeper, scratch: Scratch, outcome: Outcome, run: TrainerHandle
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
            with self._seen.publishing():
                return outcome, [self._storage.put(f"{prefix}/{path.name}", path) for path in files]
        except StorageError as error:
            log.error("job %s: %s", lease.job_id, error)
            failure = Failure("infrastructure", error.code, str(error))
            return Outcome(Status.FAILED, StopReason.INTERNAL_ERROR, failure), []

    def _clean(self, lease: Lease, published: list[Artifact]) -> None:
        """Drop the checkpoints of an ended job and what its lost attempts have left."""
        if all(artifact.name != BEST_MODEL for artifact in published):  # it may be that of a checkpoint
            for key in superfluous(self._store.checkpoints(lease.job_id)):
                discard(self._storage, key)
            return
        for attempt in range(1, lease.attempt):
            discard(self._storage, f"jobs/{lease.job_id}/a{attempt}")
        discard(self._storage, _checkpoints(lease))

    def _persist(self, keeper: LeaseKeeper, write: Callable[[], T]) -> T:
        """Write to the database; while it is away, again and again until the lease runs out or the worker must stop."""
        while True:
            keeper.check()
            try:
                return write()
            except DatabaseUnavailable as error:
                if time.monotonic() > self._stop_by:
                    raise LeaseLost("the worker must stop and the database is away") from error
                log.warning("cannot write, will try again: %s", error)
            time.sleep(RETRY_SECONDS)


def _checkpoints(lease: Lease) -> str:
    return f"jobs/{lease.job_id}/a{lease.attempt}/checkpoints"
