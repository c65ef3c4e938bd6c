"""Backup and restore of a one-machine stack: its SQLite database and its storage, taken together while it runs.

Files are written before their rows and never changed, so the database is copied first, as of one moment, and after it
the files that it names. What was deleted or replaced in between is missing then: the database is copied again, which
takes only what is new. So a backup names no file that it lacks, but for those that the storage itself has lost: these
are listed in it.
"""

import fcntl
import json
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

from service.core.actions.storage_owner import mark
from service.core.errors import ObjectMissing, RightfitError, SettingsError
from service.core.records.job import Retries
from service.core.sql.engine import Database
from service.core.sql.jobs.store import Store
from service.core.sql.stored_files import Named, forget, forget_checkpoints, named, owners
from service.core.sql.worker_registry import WorkerRegistry
from service.core.storage import LocalStorage, Storage
from service.core.storage.local import sync_folder
from service.core.text import counted

DATABASE, FILES, ABOUT = "rightfit.db", "storage", "backup.json"  # what is in the folder of a backup
SUMS = "sums.json"  # the SHA-256 of each of its files by its key: what need not be copied again; it marks a backup
KINDS = ("jobs", "datasets")  # the folders of a storage
LOCK = ".lock"  # held by the one that writes it
LAST = "last_backup.json"  # in the home: what was said of the newest one
ROUNDS = 5  # in which the database is copied anew because files were replaced or deleted meanwhile
NO_LIMIT = Retries(attempts=1_000_000, backoff_seconds=0.0)  # a restored job was not lost through any fault of its own

Say = Callable[[str], None]


class BackupError(RightfitError):
    """A backup cannot be made, or is not one."""

    code = "backup_error"


@dataclass(frozen=True)
class Backup:
    """What a backup holds, made at `made_at` (unix seconds), and the keys of what it lacks of what it should hold."""

    made_at: float
    version: str
    schema: str | None
    files: int
    bytes: int
    lacking: tuple[str, ...] = ()


def back_up(database: Database, storage: Storage, home: Path, folder: Path, say: Say) -> Backup:
    """Make a backup in a folder that is new, empty, or that of a former backup, which is brought up to date: a former
    one is whole until the new one is. Raises BackupError, SettingsError and StorageError.
    """
    file = _file_of(database)
    _refuse_strange(folder)
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)  # secrets that sign webhooks are in it
    with _alone(folder):
        return _bring_up_to_date(database, file, storage, home, folder, say)


def _bring_up_to_date(database: Database, file: Path, storage: Storage, home: Path, folder: Path, say: Say) -> Backup:
    files = LocalStorage(folder / FILES)
    files.root.mkdir(exist_ok=True)
    sums = _sums(folder)
    _write(folder / SUMS, json.dumps(sums))
    partial = folder / f".{DATABASE}.partial"
    for last_round in (number == ROUNDS - 1 for number in range(ROUNDS)):
        _snapshot(file, partial)
        copy = Database(f"sqlite:///{partial}")
        try:
            wanted = named(copy)
            lacking = [each for each in wanted if not _copied(storage, each, files, sums)]
            if lacking and not last_round:
                say(f"{counted(len(lacking), 'file')} went meanwhile, the database is copied again")
                continue
            forget_checkpoints(copy, _keys(lacking))
            forget(copy, {each.owner for each in lacking} - owners(database))
            wanted = named(copy)
            schema = copy.revision()
        finally:
            copy.close()
        break
    _make_durable(partial, folder / DATABASE)
    lost = _keys(wanted) & _keys(lacking)
    kept = {each.file.key: each.file for each in wanted if each.file.key not in lost}
    _write(folder / SUMS, json.dumps({key: file.sha256 for key, file in kept.items()}))
    _drop_others(files, _keys(wanted))
    size = sum(file.bytes for file in kept.values())
    made = Backup(time.time(), metadata.version("rightfit"), schema, len(kept), size, tuple(sorted(lost)))
    for path in (folder / ABOUT, home / LAST):
        _write(path, json.dumps(asdict(made) | {"folder": str(folder)}, indent=2) + "\n")
    return made


def restore(database: Database, storage: Storage, folder: Path, say: Say) -> Backup:
    """Bring a backup into a place that has no database yet, and a storage that has nothing of another's; the stack is
    started afterwards. Jobs that ran go on from the checkpoints that the backup has. Raises BackupError, SettingsError
    and StorageError.

    The database comes last: a restore that was broken off is begun again.
    """
    file = _file_of(database)
    _refuse_made(file)
    try:
        known = json.loads((folder / ABOUT).read_text())
        lacking = {"lacking": tuple(known.get("lacking", ()))}
        about = Backup(**{name: value for name, value in known.items() if name != "folder"} | lacking)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise BackupError(f"{folder} has no finished backup in it: {error}") from error
    partial = file.with_name(f".{file.name}.partial")
    file.parent.mkdir(parents=True, exist_ok=True)
    _remove(partial)
    shutil.copyfile(folder / DATABASE, partial)
    copy = Database(f"sqlite:///{partial}")
    try:
        copy.migrate()
        _refuse_used(storage, owners(copy))
        for each in (each for each in named(copy) if each.file.key not in about.lacking):
            stored = storage.put(each.file.key, LocalStorage(folder / FILES).path(each.file.key))
            if stored.sha256 != each.file.sha256:
                raise BackupError(f"{each.file.key} is damaged in the backup: its SHA-256 is another")
        store = Store(copy)
        while put_back := store.leases.recover(NO_LIMIT):
            say(f"{counted(len(put_back), 'job')} that ran will go on")
        store.leases.forget_hints()
        WorkerRegistry(copy).clear()
        mark(storage, copy)
    finally:
        copy.close()
    _refuse_made(file)  # a stack may have been started here meanwhile
    _make_durable(partial, file)
    return about


def _file_of(database: Database) -> Path:
    if not database.is_local or not database.engine.url.database:
        raise SettingsError(
            "this is for the SQLite database of one machine; of PostgreSQL, pg_dump and pg_restore make and restore "
            "backups: /docs/years"
        )
    return Path(database.engine.url.database).resolve()


def _refuse_made(file: Path) -> None:
    if file.exists():
        raise BackupError(f"{file} is there already; a backup is restored into a place without a database")
    if left := [each for each in _of(file) if each.exists()]:  # SQLite would take their contents for the restored
        raise BackupError(f"{', '.join(map(str, left))} is left of a database that is gone; move it away first")


def _refuse_used(storage: Storage, known: frozenset[str]) -> None:
    """A storage of other or newer jobs: their database and the restored one would write and sweep side by side."""
    for kind in KINDS:
        if strange := next((name for name in storage.names(kind) if name not in known), None):
            raise BackupError(
                f"the storage has {kind}/{strange}, which the backup does not know: it is in use; restore into one "
                "that is empty (RIGHTFIT_STORAGE_URL)"
            )


def _keys(files: Iterable[Named]) -> frozenset[str]:
    return frozenset(each.file.key for each in files)


def _refuse_strange(folder: Path) -> None:
    """A home looks much like a backup of it."""
    if folder.exists() and {path.name for path in folder.iterdir()} - {LOCK} and not (folder / SUMS).exists():
        raise BackupError(f"{folder} is neither empty nor a backup")


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    with (folder / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BackupError(f"another backup is being written into {folder}") from None
        yield


def _sums(folder: Path) -> dict[str, str]:
    """Nothing where they cannot be read: then everything is copied again."""
    try:
        found = json.loads((folder / SUMS).read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _write(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text)
    _make_durable(partial, path)


def _snapshot(file: Path, target: Path) -> None:
    """One moment of a database that others go on writing to."""
    if not file.exists():
        raise BackupError(f"there is no database {file}")
    _remove(target)
    connection = sqlite3.connect(f"{file.as_uri()}?mode=rw", uri=True, isolation_level=None)
    try:
        connection.execute("VACUUM INTO ?", (str(target),))
    finally:
        connection.close()
    target.chmod(0o600)


def _remove(database: Path) -> None:
    """What a backup or a restore that was broken off has left."""
    for path in _of(database):
        path.unlink(missing_ok=True)


def _of(database: Path) -> list[Path]:
    """The files of a SQLite database."""
    return [database.with_name(database.name + ending) for ending in ("", "-wal", "-shm")]


def _copied(storage: Storage, each: Named, files: LocalStorage, sums: dict[str, str]) -> bool:
    """Whether the backup has the file, now or already."""
    target = files.path(each.file.key)
    is_whole = target.is_file() and target.stat().st_size == each.file.bytes
    if is_whole and sums.get(each.file.key) == each.file.sha256:
        return True
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.partial")
    try:
        storage.get(each.file, partial)
    except ObjectMissing:
        return False
    _make_durable(partial, target)
    sums[each.file.key] = each.file.sha256
    return True


def _drop_others(files: LocalStorage, kept: frozenset[str]) -> None:
    """What a former backup had and this one does not name."""
    for folder in KINDS:
        for found in list(files.objects(folder)):
            if found.key not in kept:
                files.delete(found.key)


def _make_durable(partial: Path, target: Path) -> None:
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    partial.replace(target)
    sync_folder(target.parent)
