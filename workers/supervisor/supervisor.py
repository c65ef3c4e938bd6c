"""The supervisor: it claims a job, starts a trainer process, keeps the lease, records the reports and the end.

Every write is fenced by the attempt. A supervisor that loses the lease kills its trainer and writes nothing more.
"""

import logging
import os
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerContext
from pathlib import Path

from service.core.errors import LeaseLost, SpecNotUnderstood, StorageError
from service.core.records.capacity import Capacity
from service.core.records.job import ControlRequest, Failure, Outcome, Phase, Status, StopReason
from service.core.records.job_log import LogLine
from service.core.records.lease import Lease
from service.core.records.room import Room, sharers, trainer_threads
from service.core.settings import Settings
from service.core.sql.jobs.leases import JobLeases
from service.core.storage import Storage
from workers.datasets.cache import DatasetCache
from workers.scratch import Scratch
from workers.supervisor.attempt import Attempt
from workers.supervisor.builtin_packs import is_lacking, store_pack
from workers.supervisor.checkpoint_uploads import Uploads
from workers.supervisor.checkpoints import fetch_checkpoint, store_checkpoint
from workers.supervisor.ending import end, leave_to_newer_worker, release
from workers.supervisor.lease import JobLeaseKeeper
from workers.supervisor.persistence import WorkerStop
from workers.supervisor.publishing import publish
from workers.supervisor.reports import record_reports
from workers.supervisor.trainer_handle import TrainerHandle, start_trainer
from workers.supervisor.trainer_log import TrainerLog
from workers.supervisor.weights import fetch_weights
from workers.telemetry.metrics import LEASE_LOST
from workers.telemetry.observer import AttemptObserver, Observer
from workers.trainer_args import StopRequest, TrainerArgs

POLL_SECONDS = 0.2  # between two checks of lease and stop requests while the trainer is silent
LOG_SECONDS = 1.0  # between two reads of the trainer's output
NO_SLOT = nullcontext()
MOST_TOO_NEW = 1_000  # ids of jobs of a newer release that are remembered

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Claim:
    """A job that was claimed, and the monotonic time just before it was."""

    lease: Lease
    at: float


class Supervisor:
    """Claims and runs jobs, each in the thread of its caller. `stop` may be called from any thread: the jobs go back
    into the queue.
    """

    def __init__(
        self,
        settings: Settings,
        store: JobLeases,
        storage: Storage,
        cache: DatasetCache,
        context: ForkServerContext,
        capacity: Capacity | None = None,
        observer: Observer | None = None,
        publish_position: Callable[[str, Mapping[str, int]], None] = lambda job_id, position: None,
    ) -> None:
        """Claims only jobs that fit the capacity (None: any)."""
        self._publish_position = publish_position
        self._settings, self._store, self._storage, self._context = settings, store, storage, context
        self._cache, self._capacity, self._observer = cache, capacity, observer or Observer()
        self._too_new: deque[str] = deque(maxlen=MOST_TOO_NEW)  # jobs that only a newer release understands
        self._stop = WorkerStop()
        self.worker = f"{socket.gethostname()}:{os.getpid()}"

    def stop(self) -> None:
        """Claim no more jobs, and put the running ones back into the queue."""
        self._stop.request()

    def run_next(self) -> str | None:
        """Claim and run the job that is first in the queue; returns its id, None where there is none."""
        claim = self.claim()
        if claim is None:
            return None
        self.run(claim)
        return claim.lease.job_id

    def claim(self, room: Room | None = None) -> Claim | None:
        """Claim the job that is first in the queue, to be run; None where there is none.

        Raises NoRoom where it does not fit into the room that running jobs leave (None: no job runs).
        """
        if self._stop.is_requested:
            return None
        now, too_new = time.monotonic(), tuple(self._too_new.copy())
        lease = self._store.claim(self.worker, self._settings.lease_seconds, self._capacity, too_new, room)
        return Claim(lease, now) if lease else None

    def run(
        self,
        claim: Claim,
        slot: AbstractContextManager[object] = NO_SLOT,
        on_trained: Callable[[], None] = lambda: None,
    ) -> None:
        """Run a job until it ends or goes back into the queue. `slot` is entered meanwhile.

        `on_trained` is called once the training has ended, before the artifacts are written and published.
        """
        dataset = self._cache.checkout(claim.lease.spec["dataset"]["id"])
        with slot, self._attempt(claim, on_trained) as attempt, attempt.scratch.held(), dataset as pack:
            if claim.lease.attempt > 1:
                fetch_checkpoint(attempt)
            weights = fetch_weights(attempt)
            trainer = start_trainer(self._context, self._trainer_args(attempt, pack, weights))
            self._supervise(attempt, trainer)
            store_pack(attempt)
            self._conclude(attempt, trainer)

    @contextmanager
    def _attempt(self, claim: Claim, on_trained: Callable[[], None]) -> Iterator[Attempt]:
        """Hold the job within the block. An error in the block ends the job as failed, and a lost lease ends nothing:
        neither leaves this block.
        """
        lease, metrics = claim.lease, self._observer.metrics
        with self._observer.observe(lease) as observer:
            try:
                with JobLeaseKeeper(self._settings, self._store, lease, claim.at, metrics) as keeper:
                    attempt = self._new_attempt(lease, keeper, observer, on_trained)
                    log.info("%s claimed", attempt)
                    with _failing(attempt):
                        yield attempt
            except LeaseLost as error:
                observer.ended(LEASE_LOST)
                log.warning("%s; its trainer was killed, nothing more is written", error)

    def _new_attempt(
        self, lease: Lease, keeper: JobLeaseKeeper, observer: AttemptObserver, on_trained: Callable[[], None]
    ) -> Attempt:
        return Attempt(
            worker=self.worker,
            lease=lease,
            keeper=keeper,
            scratch=Scratch(
                self._settings.home / "scratch" / lease.job_id / f"a{lease.attempt}", self._settings.disk_reserve_bytes
            ),
            settings=self._settings,
            store=self._store,
            storage=self._storage,
            observer=observer,
            stop=self._stop,
            on_trained=on_trained,
            publish_position=self._publish_position,
        )

    def _trainer_args(self, attempt: Attempt, pack: Path | None, weights: Path | None) -> TrainerArgs:
        settings, lease = self._settings, attempt.lease
        return TrainerArgs(
            job_id=lease.job_id,
            attempt=lease.attempt,
            worker=self.worker,
            spec=dict(lease.spec),
            folder=str(attempt.scratch.folder),
            threads=trainer_threads(self._capacity, lease.needs) if self._capacity else settings.threads,
            held_until=attempt.keeper.held_until,
            checkpoint_seconds=settings.checkpoint_seconds,
            graphs=str(settings.home / "graphs"),
            resident_bytes=settings.resident_bytes,
            sharers=sharers(self._capacity, lease.needs) if self._capacity else 1,
            pack=str(pack) if pack else None,
            library=str(settings.home / "datasets" / "published"),
            writes_pack=is_lacking(self._storage, lease.spec["dataset"]["id"]),
            pause_after=lease.pause_after,
            weights=str(weights) if weights else None,
            packs=str(self._cache.room.root),
            cache_bytes=self._cache.room.most_bytes,
            disk_reserve_bytes=self._cache.room.reserve,
            holds_back_test=lease.is_trial,
            only_scores=lease.only_scores,
        )

    def _supervise(self, attempt: Attempt, trainer: TrainerHandle) -> None:
        """Return once the trainer has ended, and its reports, checkpoints and output are recorded. Raises LeaseLost."""
        output = TrainerLog(attempt.scratch.log)
        with Uploads(partial(store_checkpoint, attempt)) as uploads:
            try:
                while trainer.is_alive():
                    self._check(attempt, trainer)
                    uploads.check()
                    sentinel = trainer.process.sentinel
                    wait([sentinel] if trainer.is_silent else [trainer.connection, sentinel], POLL_SECONDS)
                    record_reports(attempt, trainer, uploads)
                    if time.monotonic() - output.read_at > LOG_SECONDS:
                        attempt.write_log(output.read())
                record_reports(attempt, trainer, uploads)
            finally:
                trainer.close()
            uploads.drain()
        attempt.write_log(output.read_rest())

    def _check(self, attempt: Attempt, trainer: TrainerHandle) -> None:
        """Pass on the lease and the stop requests; kill a trainer that does not stop or has stalled."""
        keeper, settings = attempt.keeper, self._settings
        keeper.check()
        trainer.extend_lease(keeper.held_until)
        patience = 0.0 if trainer.phase is Phase.PREPARING else settings.stop_seconds  # no work is lost before training
        if keeper.request is ControlRequest.CANCEL:
            trainer.stop(StopRequest.CANCELLED, patience)
        elif keeper.request is ControlRequest.PAUSE or self._stop.is_requested:
            trainer.stop(StopRequest.RELEASED, patience)
        if time.monotonic() > trainer.kill_at:
            log.warning("%s: the trainer did not stop in time and is killed", attempt)
            trainer.process.kill()
        elif trainer.is_stalled(settings.stall_seconds):
            log.warning("%s: the trainer has stalled and is killed", attempt)
            trainer.has_stalled = True
            trainer.process.kill()

    def _conclude(self, attempt: Attempt, trainer: TrainerHandle) -> None:
        """Release the job, or publish its artifacts and end it. Raises LeaseLost."""
        if trainer.was_released:
            if release(attempt):
                return
            outcome = Outcome(Status.CANCELLED, StopReason.CANCELLED)
        else:
            outcome = trainer.outcome(self._settings.stall_seconds)
        error, was_killed = outcome.error, trainer.ending is None
        if error and was_killed:
            attempt.write_log([LogLine(time.time(), "error", error.detail)])
        if error and error.code == SpecNotUnderstood.code and leave_to_newer_worker(attempt, error):
            self._too_new.append(attempt.lease.job_id)
            return
        outcome, published = publish(attempt, outcome, was_killed=was_killed)
        end(attempt, outcome, published)


@contextmanager
def _failing(attempt: Attempt) -> Iterator[None]:
    """An error of this worker within the block ends the job as failed. Raises LeaseLost."""
    try:
        yield
    except LeaseLost:
        raise
    except Exception as error:
        log.exception("%s failed", attempt)
        code = error.code if isinstance(error, StorageError) else "worker_error"
        failure = Failure("infrastructure", code, f"{type(error).__name__}: {error}")
        end(attempt, Outcome(Status.FAILED, StopReason.INTERNAL_ERROR, failure), [])
