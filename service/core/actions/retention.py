"""Removes what is past keeping (RIGHTFIT_KEEP_…): checkpoints, ended jobs, unused data sets, files that nobody knows.

Nothing is removed unless its setting says so. A sweep may be killed at any point and run in several processes at once:
whatever it has begun, the next one finishes.
"""

import logging
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice

import redis

from service.core.actions.clock_check import Clocks
from service.core.actions.delete import delete_dataset, delete_job
from service.core.actions.storage_owner import owns
from service.core.errors import Conflict, NotFound, StorageError
from service.core.resilience import attempt, repeat
from service.core.settings import Settings
from service.core.sql.datasets import DatasetStore
from service.core.sql.engine import Database
from service.core.sql.expired import Expired, Expiry
from service.core.sql.jobs.store import Store
from service.core.storage import Storage
from service.core.units import DAY

LOOK_SECONDS = 60.0  # how often a process asks whether a sweep is due
SWEEP_SECONDS = 3600  # between two sweeps, of all processes together
TURN = "rightfit:retention"  # the key in Redis of the one whose turn it was
NAMES = {"jobs": re.compile(r"job_[0-9a-f]{20}"), "datasets": re.compile(r"ds_[0-9a-f]{20}")}  # that we have given
NAMES_AT_ONCE = 500

log = logging.getLogger(__name__)


class Retention:
    """Run by every API process, in a thread of its own: removing many files takes long."""

    def __init__(
        self, settings: Settings, database: Database, store: Store, catalog: DatasetStore, storage: Storage
    ) -> None:
        self._settings, self._store, self._catalog, self._storage = settings, store, catalog, storage
        self._database, self._expiry, self._clocks = database, Expiry(database), Clocks(database)

    def run(self, stop: threading.Event) -> None:
        """Sweep about once an hour until stopped. Where everything is kept for ever the storage is marked and that is
        all: another installation that comes to it must not sweep there.
        """
        kept = self._settings
        attempt(self._owns_storage, "mark the storage")
        if not kept.removes_anything:
            return
        with redis.Redis.from_url(kept.redis_url or "redis://127.0.0.1:6379/0", socket_timeout=2.0) as client:

            def turn() -> None:
                if self._clocks.have_settled() and is_our_turn(client) and self._clocks.agree():
                    self.sweep(stop)

            repeat(turn, LOOK_SECONDS, stop, "remove what is past keeping")

    def sweep(self, stop: threading.Event | None = None) -> Counter[str]:
        """Remove everything that is past keeping now; returns how many of each kind."""
        kept, removed = self._settings, Counter[str]()
        over = stop or threading.Event()
        steps = (
            ("jobs", kept.keep_jobs_days, self._expiry.jobs, self._job),
            ("checkpoints", kept.keep_checkpoints_days, self._expiry.jobs_with_checkpoints, self._checkpoints),
            ("data sets", kept.keep_datasets_days, self._expiry.datasets, self._dataset),
        )
        for what, days, find, remove in steps:
            if days is not None:
                for found in _all(days, find):
                    if over.is_set():
                        return removed
                    removed[what] += _is_gone(remove, days, found, what)
        if kept.keep_orphans_days is not None and not over.is_set():
            removed["orphans"] = self._orphans(kept.keep_orphans_days, over)
        if removed.total():
            log.info("removed %s", ", ".join(f"{count} {what}" for what, count in removed.items() if count))
        return removed

    def _job(self, days: float, job: Expired) -> None:
        _refuse_used(self._expiry.take_job(days, job))
        delete_job(self._store, self._storage, job.tenant, job.id)

    def _dataset(self, days: float, dataset: Expired) -> None:
        _refuse_used(self._expiry.take_dataset(days, dataset))
        delete_dataset(self._catalog, self._storage, dataset.tenant, dataset.id)

    def _checkpoints(self, days: float, job: Expired) -> None:
        """Everything that its attempts have left and its manifest does not name; should it be retried meanwhile, the
        next attempt has a folder of its own.
        """
        _refuse_used(self._expiry.has_checkpoints(days, job))
        published = self._expiry.published(job.id)
        for number in range(1, job.attempt + 1):
            for found in list(self._storage.objects(f"jobs/{job.id}/a{number}")):
                if found.key not in published:
                    self._storage.delete(found.key)
        self._expiry.forget_checkpoints(job)

    def _orphans(self, days: float, stop: threading.Event) -> int:
        """What was stored for jobs and data sets that are not recorded: left by an upload that was never finished, or
        by a worker that wrote after its job was deleted.
        """
        if self._expiry.is_empty():
            log.warning("no files are removed as unknown: the database knows no job at all, it may be another one")
            return 0
        if not self._owns_storage():
            return 0
        removed, before = 0, time.time() - days * DAY
        for kind, pattern in NAMES.items():
            for name in _unknown(self._storage, self._expiry, kind, pattern):
                if stop.is_set():
                    return removed
                newest = max((found.at for found in self._storage.objects(f"{kind}/{name}")), default=None)
                if newest is not None and newest < before:
                    removed += self._orphan(f"{kind}/{name}")
        return removed

    def _orphan(self, folder: str) -> bool:
        try:
            self._storage.delete(folder)
        except StorageError as error:  # the others may be removed all the same
            log.warning("what nobody knows stays: %s", error)
            return False
        log.info("removed %s, which nobody knows", folder)
        return True

    def _owns_storage(self) -> bool:
        """A database without jobs owns none: it may have been named by mistake."""
        try:
            return not self._expiry.is_empty() and owns(self._database, self._storage)
        except StorageError as error:
            log.warning("no files are removed as unknown: %s", error)
            return False


def is_our_turn(client: redis.Redis) -> bool:
    """Whether this process is to sweep now. While Redis is away nobody does: nothing is lost by it."""
    try:
        return bool(client.set(TURN, "", nx=True, ex=SWEEP_SECONDS))
    except redis.RedisError:
        return False


def _all(days: float, find: Callable[[float, int], tuple[Expired, ...]]) -> Iterator[Expired]:
    """Batch after batch; what could not be removed is passed over."""
    after = 0
    while batch := find(days, after):
        yield from batch
        after = batch[-1].seq


def _refuse_used(is_as_found: bool) -> None:
    if not is_as_found:
        raise Conflict("it was used since it was found")


def _is_gone(remove: Callable[[float, Expired], None], days: float, found: Expired, what: str) -> bool:
    try:
        remove(days, found)
    except (Conflict, NotFound) as error:  # somebody uses it again, or was faster
        log.info("%s stays: %s", found.id, error)
        return False
    except StorageError as error:  # the others may be removed all the same
        log.warning("%s cannot be removed now: %s", found.id, error)
        return False
    log.info("removed of %s: %s of %s", what, found.id, found.tenant)
    return True


def _unknown(storage: Storage, expiry: Expiry, kind: str, pattern: re.Pattern[str]) -> Iterator[str]:
    names = (name for name in storage.names(kind) if pattern.fullmatch(name))
    while batch := tuple(islice(names, NAMES_AT_ONCE)):
        known = expiry.known(kind, batch)
        yield from (name for name in batch if name not in known)
