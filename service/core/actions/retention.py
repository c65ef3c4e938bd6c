"""Deletes expired data (RIGHTFIT_KEEP_…): checkpoints, ended jobs, unused data sets and weights, orphaned
files.

Nothing is deleted without its setting. Sweeps may run in several processes at once, and a sweep may be killed at
any point: the next one finishes its work.
"""

import logging
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import islice

from service.core.actions.clock_check import ClockCheck
from service.core.actions.delete import delete_dataset, delete_job, delete_weights
from service.core.actions.storage_owner import owns
from service.core.broker.turns import Turns
from service.core.errors import Conflict, NotFound, StorageError
from service.core.records.weights import WEIGHTS, WEIGHTS_ID
from service.core.settings import Settings
from service.core.sql.datasets import DatasetStore
from service.core.sql.engine import Database
from service.core.sql.expired import Expired, Expiry
from service.core.sql.jobs.store import Store
from service.core.sql.weights import WeightsStore
from service.core.storage import Storage
from service.core.system.resilience import attempt, repeat
from service.core.text import DAY

LOOK_SECONDS = 60.0  # between two checks of whether a sweep is due
SWEEP_SECONDS = 3600  # between two sweeps, of all processes together
TURN = "rightfit:retention"  # the key in Redis that marks the turn as taken
# The names of folders in each folder of the storage.
NAMES = {
    "jobs": re.compile(r"job_[0-9a-f]{20}"),
    "datasets": re.compile(r"ds_[0-9a-f]{20}"),
    WEIGHTS: WEIGHTS_ID,
}
NAMES_AT_ONCE = 500

log = logging.getLogger(__name__)


class Retention:
    """Runs in a thread of its own in every API process: deleting many files takes long."""

    def __init__(
        self, settings: Settings, database: Database, store: Store, catalog: DatasetStore, storage: Storage
    ) -> None:
        self._settings, self._store, self._catalog, self._storage = settings, store, catalog, storage
        self._weights = WeightsStore(database)
        self._database, self._expiry, self._clocks = database, Expiry(database), ClockCheck(database)

    def run(self, stop: threading.Event) -> None:
        """Sweep about once an hour until stopped.

        If no setting asks for deletion, this only marks the storage as this installation's: no other one that is
        pointed at it by mistake may sweep it.
        """
        attempt(self._owns_storage, "mark the storage")
        if not self._settings.removes_anything:
            return
        with closing(Turns(self._settings.broker_url, TURN, SWEEP_SECONDS)) as turns:

            def sweep_in_turn() -> None:
                if self._clocks.have_settled() and turns.take() and self._clocks.agree():
                    self.sweep(stop)

            repeat(sweep_in_turn, LOOK_SECONDS, stop, "delete expired data")

    def sweep(self, stop: threading.Event | None = None) -> Counter[str]:
        """Delete everything that has expired; returns how many of each kind."""
        limits, deleted = self._settings, Counter[str]()
        stopping = stop or threading.Event()
        steps = (
            ("jobs", limits.keep_jobs_days, self._expiry.jobs, self._delete_job),
            ("checkpoints", limits.keep_checkpoints_days, self._expiry.jobs_with_checkpoints, self._delete_checkpoints),
            ("data sets", limits.keep_datasets_days, self._expiry.datasets, self._delete_dataset),
            ("weights", limits.keep_weights_days, self._expiry.weights, self._delete_weights),
        )
        for kind, days, find, delete in steps:
            if days is not None:
                for expired in _all(days, find):
                    if stopping.is_set():
                        return deleted
                    deleted[kind] += _is_deleted(delete, days, expired, kind)
        if limits.keep_orphans_days is not None and not stopping.is_set():
            deleted["orphans"] = self._delete_orphans(limits.keep_orphans_days, stopping)
        if deleted.total():
            log.info("deleted %s", ", ".join(f"{count} {kind}" for kind, count in deleted.items() if count))
        return deleted

    def _delete_job(self, days: float, job: Expired) -> None:
        _refuse_used(self._expiry.take_job(days, job))
        delete_job(self._store, self._storage, job.tenant, job.id)

    def _delete_dataset(self, days: float, dataset: Expired) -> None:
        _refuse_used(self._expiry.take_dataset(days, dataset))
        delete_dataset(self._catalog, self._storage, dataset.tenant, dataset.id)

    def _delete_weights(self, days: float, weights: Expired) -> None:
        _refuse_used(self._expiry.take_weights(days, weights))
        delete_weights(self._weights, self._storage, weights.tenant, weights.id)

    def _delete_checkpoints(self, days: float, job: Expired) -> None:
        """Delete every file of the job's attempts that its manifest does not name.

        If the job is retried meanwhile, its next attempt writes to a folder of its own.
        """
        _refuse_used(self._expiry.has_checkpoints(days, job))
        published = self._expiry.published(job.id)
        for number in range(1, job.attempt + 1):
            for stored in list(self._storage.objects(f"jobs/{job.id}/a{number}")):
                if stored.key not in published:
                    self._storage.delete(stored.key)
        self._expiry.forget_checkpoints(job)

    def _delete_orphans(self, days: float, stopping: threading.Event) -> int:
        """Delete the files of jobs, data sets and weights without a record; returns how many folders.

        An upload that was never finished leaves such files, and so does a worker that writes after its job was deleted.
        """
        if self._expiry.is_empty():
            log.warning("orphaned files are not deleted: the database has no job, it may be the wrong one")
            return 0
        if not self._owns_storage():
            return 0
        deleted, before = 0, time.time() - days * DAY
        for kind, pattern in NAMES.items():
            for name in _unknown(self._storage, self._expiry, kind, pattern):
                if stopping.is_set():
                    return deleted
                newest = max((stored.at for stored in self._storage.objects(f"{kind}/{name}")), default=None)
                if newest is not None and newest < before:
                    deleted += self._delete_orphan(f"{kind}/{name}")
        return deleted

    def _delete_orphan(self, folder: str) -> bool:
        try:
            self._storage.delete(folder)
        except StorageError as error:  # the others can still be deleted
            log.warning("cannot delete orphaned files: %s", error)
            return False
        log.info("deleted orphaned files %s", folder)
        return True

    def _owns_storage(self) -> bool:
        """Whether the storage is this installation's; False for a database without jobs, which may be the wrong one."""
        try:
            return not self._expiry.is_empty() and owns(self._database, self._storage)
        except StorageError as error:
            log.warning("orphaned files are not deleted: %s", error)
            return False


def _all(days: float, find: Callable[[float, int], tuple[Expired, ...]]) -> Iterator[Expired]:
    """All expired rows, batch by batch; a row that cannot be deleted is skipped."""
    after = 0
    while batch := find(days, after):
        yield from batch
        after = batch[-1].seq


def _refuse_used(is_expired: bool) -> None:
    if not is_expired:
        raise Conflict("it is in use again")


def _is_deleted(delete: Callable[[float, Expired], None], days: float, expired: Expired, kind: str) -> bool:
    try:
        delete(days, expired)
    except (Conflict, NotFound) as error:  # in use again, or deleted by another process
        log.info("%s is kept: %s", expired.id, error)
        return False
    except StorageError as error:  # the others can still be deleted
        log.warning("%s cannot be deleted now: %s", expired.id, error)
        return False
    log.info("deleted %s %s of tenant %s", kind, expired.id, expired.tenant)
    return True


def _unknown(storage: Storage, expiry: Expiry, kind: str, pattern: re.Pattern[str]) -> Iterator[str]:
    """The names of folders of this kind that have no record."""
    names = (name for name in storage.names(kind) if pattern.fullmatch(name))
    while batch := tuple(islice(names, NAMES_AT_ONCE)):
        known = expiry.known(kind, batch)
        yield from (name for name in batch if name not in known)
