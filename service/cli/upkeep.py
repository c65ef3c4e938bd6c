"""What `doctor` looks at for the years: releases, clocks, room on disks, what is kept, and the last backup."""

import json
import shutil
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import redis

from service.cli.check import Check
from service.core.actions.backup import LAST
from service.core.records.capacity import Capacity
from service.core.settings import Settings
from service.core.sql.engine import Database
from service.core.storage import LocalStorage, Storage
from service.core.text import counted
from service.core.units import DAY

LEAST_FREE = 1 << 30  # bytes of a disk
MOST_SKEW = 30.0  # seconds; a webhook's receiver takes a few minutes for an attack, S3 refuses a quarter of an hour
GIB = 1 << 30
OLD_BACKUP = 7 * DAY


def broker(client: redis.Redis) -> tuple[str, str]:
    """What is to be told of a Redis that answers, and a remedy. Raises RedisError."""
    known = client.info()
    version = known.get("valkey_version") or known.get("redis_version")
    name = "Valkey" if "valkey_version" in known else "Redis"
    words = f"{name} {version}; whether it saves to disk does not matter, jobs are in the database"
    policy = known.get("maxmemory_policy", "noeviction")
    if known.get("maxmemory") and policy != "noeviction":
        return f"{words}; it throws keys away when full ({policy})", "maxmemory-policy noeviction: else hints are lost"
    return words, ""


def releases(workers: Mapping[str, Capacity]) -> Check:
    """The live workers, and whether all of them are of one release."""
    names = ", ".join(workers)
    known = sorted({worker.version or "one that does not say" for worker in workers.values()})
    if len(known) == 1:
        return Check("workers", True, f"{len(workers)}: {names}")
    remedy = "well while an upgrade goes on; end the older ones: SIGTERM, their jobs go on elsewhere"
    return Check("workers", True, f"{len(workers)}, of releases {', '.join(known)}: {names}", remedy)


def clock(database: Database) -> Check:
    """This machine's against the database's, by which leases are reckoned."""
    before = time.time()
    theirs = database.now()
    skew = theirs - (before + time.time()) / 2
    words = f"this machine is {abs(skew):.1f} s {'behind' if skew > 0 else 'ahead of'} the database"
    if abs(skew) > MOST_SKEW:
        return Check("clock", False, words, "set both clocks by NTP: signatures of webhooks and of S3 carry the time")
    return Check("clock", True, words)


def disks(settings: Settings, storage: Storage | None) -> Check:
    """The room that is left where files are made."""
    folders = {"home": settings.home}
    if isinstance(storage, LocalStorage):
        folders["storage"] = storage.root
    free = {name: shutil.disk_usage(_existing(folder)).free for name, folder in folders.items()}
    words = ", ".join(f"{count / GIB:.1f} GiB free in {name}" for name, count in free.items())
    if min(free.values()) < LEAST_FREE:
        return Check("disk", False, words, "make room: RIGHTFIT_KEEP_… say what may go, or give it a larger disk")
    return Check("disk", True, words)


def retention(settings: Settings) -> Check:
    """What is kept for how long."""
    kept = {
        "checkpoints": settings.keep_checkpoints_days, "ended jobs": settings.keep_jobs_days,
        "data sets": settings.keep_datasets_days, "unknown files": settings.keep_orphans_days,
    }  # fmt: skip
    told = [f"{what} {'for ever' if days is None else f'for {days:g} days'}" for what, days in kept.items()]
    return Check("retention", True, f"by these settings, kept: {', '.join(told)}")


def backups(settings: Settings, database: Database) -> Iterator[Check]:
    """Of a database of one machine; of a server its own tools know."""
    if not (database.is_local and database.is_made):
        return
    try:
        last = json.loads((settings.home / LAST).read_text())
        age, day, folder = time.time() - last["made_at"], datetime.fromtimestamp(last["made_at"], UTC), last["folder"]
        words = f"the last one is {counted(int(age // DAY), 'day')} old: {day:%F}, {folder}"
        if lacking := last.get("lacking"):
            words += f"; it lacks {counted(len(lacking), 'file')} that the storage had lost"
        remedy = f"rightfit backup {folder}, while the stack runs, and daily" if age > OLD_BACKUP else ""
        yield Check("backup", True, words, remedy)
    except (OSError, ValueError, KeyError):
        yield Check("backup", True, "none was ever taken from here", "rightfit backup FOLDER, while the stack runs")


def _existing(folder: Path) -> Path:
    return next(each for each in (folder, *folder.parents) if each.exists())
