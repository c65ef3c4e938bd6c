"""Checks of `doctor` for a stack in operation: releases, clocks, disk space, retention and the last backup."""

import json
import shutil
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from service.cli.check import Check
from service.core.actions.backup import LAST
from service.core.broker.server import BrokerServer
from service.core.records.capacity import Capacity
from service.core.settings import Settings
from service.core.sql.engine import Database
from service.core.storage import LocalStorage, Storage
from service.core.text import DAY, GIB, counted, format_size

MIN_FREE = GIB  # of a disk
MAX_SKEW = 30.0  # seconds; S3 refuses requests after 15 minutes, a receiver of webhooks after about 5
MAX_BACKUP_AGE = 7 * DAY  # seconds


def broker(server: BrokerServer) -> tuple[str, str]:
    """A description of a Redis that answers, and a remedy."""
    words = f"{server.name} {server.version}; it need not save to disk, because jobs are in the database"
    if server.eviction:
        remedy = "set maxmemory-policy noeviction; else jobs may start late"
        return f"{words}; it deletes keys when full ({server.eviction})", remedy
    return words, ""


def releases(workers: Mapping[str, Capacity]) -> Check:
    """The live workers and their releases."""
    names = ", ".join(workers)
    versions = sorted({worker.version or "an unknown release" for worker in workers.values()})
    if len(versions) == 1:
        return Check("workers", True, f"{len(workers)}: {names}")
    remedy = "normal during an upgrade; stop the older workers with SIGTERM, and others continue their jobs"
    return Check("workers", True, f"{len(workers)}, of releases {', '.join(versions)}: {names}", remedy)


def clock(database: Database) -> Check:
    """The difference between this machine's clock and the database's, which times the leases."""
    before = time.time()
    theirs = database.now()
    skew = theirs - (before + time.time()) / 2
    words = f"this machine is {abs(skew):.1f} s {'behind' if skew > 0 else 'ahead of'} the database"
    if abs(skew) > MAX_SKEW:
        return Check("clock", False, words, "set both clocks by NTP: signatures of webhooks and of S3 contain the time")
    return Check("clock", True, words)


def disks(settings: Settings, storage: Storage | None) -> Check:
    """The free disk space of the home and of the storage folder."""
    folders = {"home": settings.home}
    if isinstance(storage, LocalStorage):
        folders["storage"] = storage.root
    free = {name: shutil.disk_usage(_existing(folder)).free for name, folder in folders.items()}
    words = ", ".join(f"{format_size(count)} free in {name}" for name, count in free.items())
    if min(free.values()) < max(MIN_FREE, settings.disk_reserve_bytes):
        return Check("disk", False, words, "delete files, set RIGHTFIT_KEEP_… to fewer days, or use a larger disk")
    return Check("disk", True, words)


def retention(settings: Settings) -> Check:
    """How long each kind of data is kept."""
    days = {
        "checkpoints": settings.keep_checkpoints_days,
        "ended jobs": settings.keep_jobs_days,
        "data sets": settings.keep_datasets_days,
        "uploaded weights": settings.keep_weights_days,
        "orphaned files": settings.keep_orphans_days,
    }
    periods = [f"{kind} {'for ever' if count is None else f'for {count:g} days'}" for kind, count in days.items()]
    return Check("retention", True, f"the settings keep {', '.join(periods)}")


def backups(settings: Settings, database: Database) -> Iterator[Check]:
    """The last backup of a SQLite database. A database server has tools of its own."""
    if not (database.is_local and database.is_made):
        return
    try:
        last = json.loads((settings.home / LAST).read_text())
        age, day, folder = time.time() - last["made_at"], datetime.fromtimestamp(last["made_at"], UTC), last["folder"]
        words = f"the last is {counted(int(age // DAY), 'day')} old: {day:%F}, {folder}"
        if lacking := last.get("lacking"):
            words += f"; it lacks {counted(len(lacking), 'file')} that were missing in the storage"
        remedy = f"run rightfit backup {folder} daily; the stack may run" if age > MAX_BACKUP_AGE else ""
        yield Check("backup", True, words, remedy)
    except (OSError, ValueError, KeyError):
        yield Check("backup", True, "there is none", "run rightfit backup FOLDER; the stack may run")


def _existing(folder: Path) -> Path:
    return next(each for each in (folder, *folder.parents) if each.exists())
