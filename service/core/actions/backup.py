"""Backup and restore of a one-machine stack: its SQLite database and its storage, taken together while it runs.

Files are written before their rows and never changed. So the database is copied first, as of one moment, and then the
files that it names. If files were deleted or replaced in between, the database is copied again; that round copies only
new files. A backup therefore lacks no file that it names, except those that the storage itself has lost: it lists them.
"""

import fcntl
import json
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
from service.core.system import durable_file, move_durably, private_file, private_folder
from service.core.text import counted

DATABASE, FILES, ABOUT = "rightfit.db", "storage", "backup.json"  # in the folder of a backup
SUMS = "sums.json"  # SHA-256 of each file by its key, so that it is not copied again; marks a folder as a backup
KINDS = ("jobs", "datasets", "weights")  # the folders of a storage
LOCK = ".lock"  # held by the process that writes the backup
LAST = "last_backup.json"  # in the home: a description of the newest backup
ROUNDS = 5  # copies of the database, at most: one more each time that files were deleted meanwhile
NO_LIMIT = Retries(
    attempts=1_000_000, backoff_seconds=0.0
)  # a restore does not count as a lost attempt of the running jobs

Say = Callable[[str], None]


class BackupError(RightfitError):
    """A backup cannot be made or restored."""

    code = "backup_error"


@dataclass(frozen=True)
class Backup:
    """A backup made at `made_at` (unix seconds). `lacking` has the keys of the files that the storage had lost."""

    made_at: float
    version: str
    schema: str | None
    files: int
    bytes: int
    lacking: tuple[str, ...] = ()


def back_up(database: Database, storage: Storage, home: Path, folder: Path, say: Say) -> Backup:
    """Make a backup in a folder that is new or empty, or bring the backup in it up to date.

    A former backup stays whole until the new one is. Raises BackupError, SettingsError and StorageError.
    """
    file = _file_of(database)
    _refuse_strange(folder)
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)  # the database holds the secrets that sign webhooks
    with _locked(folder):
        return _bring_up_to_date(database, file, storage, home, folder, say)


def _bring_up_to_date(database: Database, file: Path, storage: Storage, home: Path, folder: Path, say: Say) -> Backup:
    files = LocalStorage(folder / FILES)
    files.root.mkdir(exist_ok=True)
    sums = _sums(folder)
    _write(folder / SUMS, json.dumps(sums))
    partial = folder / f".{DATABASE}.partial"
    for rounds_left in reversed(range(ROUNDS)):
        _snapshot(file, partial)
        copy = Database(f"sqlite:///{partial}")
        try:
            lacking = [each for each in named(copy) if not _is_copied(storage, each, files, sums)]
            if lacking and rounds_left:
                say(f"{counted(len(lacking), 'file')} disappeared during the copy, copying the database again")
                continue
            forget_checkpoints(copy, _keys(lacking))
            forget(copy, {each.owner for each in lacking} - owners(database))
            remaining = named(copy)
            schema = copy.revision()
        finally:
            copy.close()
        break
    move_durably(partial, folder / DATABASE)
    lost = _keys(remaining) & _keys(lacking)
    kept = {each.file.key: each.file for each in remaining if each.file.key not in lost}
    _write(folder / SUMS, json.dumps({key: file.sha256 for key, file in kept.items()}))
    _delete_others(files, _keys(remaining))
    size = sum(file.bytes for file in kept.values())
    backup = Backup(time.time(), metadata.version("rightfit"), schema, len(kept), size, tuple(sorted(lost)))
    for path in (folder / ABOUT, home / LAST):
        _write(path, json.dumps(asdict(backup) | {"folder": str(folder)}, indent=2) + "\n")
    return backup


def restore(database: Database, storage: Storage, folder: Path, say: Say) -> Backup:
    """Restore a backup into a place without a database and a storage without files of other jobs or data sets.

    The stack is started afterwards; jobs that ran continue from the checkpoints in the backup. The database is written
    last, so that an interrupted restore can be repeated. Raises BackupError, SettingsError and StorageError.
    """
    file = _file_of(database)
    _refuse_existing(file)
    backup = _description(folder)
    partial = file.with_name(f".{file.name}.partial")
    private_folder(file.parent)
    _remove(partial)
    private_file(partial)
    shutil.copyfile(folder / DATABASE, partial)
    copy = Database(f"sqlite:///{partial}")
    try:
        copy.migrate()
        _refuse_used(storage, owners(copy))
        for each in (each for each in named(copy) if each.file.key not in backup.lacking):
            stored = storage.put(each.file.key, LocalStorage(folder / FILES).path(each.file.key))
            if stored.sha256 != each.file.sha256:
                raise BackupError(f"{each.file.key} in the backup is damaged: its SHA-256 is not {each.file.sha256}")
        store = Store(copy)
        while put_back := store.leases.recover(NO_LIMIT):
            say(f"{counted(len(put_back), 'running job')} will continue")
        store.hints.forget_hints()
        WorkerRegistry(copy).clear()
        mark(storage, copy)
    finally:
        copy.close()
    _refuse_existing(file)  # a stack may have been started here meanwhile
    move_durably(partial, file)
    return backup


def _description(folder: Path) -> Backup:
    try:
        known = json.loads((folder / ABOUT).read_text())
        lacking = {"lacking": tuple(known.get("lacking", ()))}
        return Backup(**{name: value for name, value in known.items() if name != "folder"} | lacking)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise BackupError(f"{folder} holds no finished backup: {error}") from error


def _file_of(database: Database) -> Path:
    if not database.is_local or not database.engine.url.database:
        raise SettingsError(
            "this command backs up the SQLite database of one machine; use pg_dump and pg_restore for PostgreSQL: "
            "/docs/operations"
        )
    return Path(database.engine.url.database).resolve()


def _refuse_existing(file: Path) -> None:
    if file.exists():
        raise BackupError(f"{file} exists already; restore into a place without a database")
    if left := [path for path in _files_of(file) if path.exists()]:  # SQLite would apply them to the restored database
        raise BackupError(f"{', '.join(map(str, left))} belongs to a database that is gone; move it away first")


def _refuse_used(storage: Storage, known: frozenset[str]) -> None:
    """Refuse a storage with other or newer jobs: two databases would write to it and delete each other's files."""
    for kind in KINDS:
        if unknown := next((name for name in storage.names(kind) if name not in known), None):
            raise BackupError(
                f"the storage is in use: it holds {kind}/{unknown}, which is not in the backup; restore into an empty "
                "storage (RIGHTFIT_STORAGE_URL)"
            )


def _keys(files: Iterable[Named]) -> frozenset[str]:
    return frozenset(each.file.key for each in files)


def _refuse_strange(folder: Path) -> None:
    """Refuse a folder with other content, such as a home, which looks much like a backup."""
    if folder.exists() and {path.name for path in folder.iterdir()} - {LOCK} and not (folder / SUMS).exists():
        raise BackupError(f"{folder} is neither empty nor a backup")


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with (folder / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BackupError(f"another backup is being written into {folder}") from None
        yield


def _sums(folder: Path) -> dict[str, str]:
    """The sums of the former backup; empty if they cannot be read, so that every file is copied again."""
    try:
        sums = json.loads((folder / SUMS).read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return sums if isinstance(sums, dict) else {}


def _write(path: Path, text: str) -> None:
    with durable_file(path) as file:
        file.write(text.encode())


def _snapshot(file: Path, target: Path) -> None:
    """Copy a database as of one moment, while other processes write to it."""
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
    """Remove a database that an interrupted backup or restore has left."""
    for path in _files_of(database):
        path.unlink(missing_ok=True)


def _files_of(database: Path) -> list[Path]:
    """The database itself, its write-ahead log and its shared memory."""
    return [database.with_name(database.name + ending) for ending in ("", "-wal", "-shm")]


def _is_copied(storage: Storage, each: Named, files: LocalStorage, sums: dict[str, str]) -> bool:
    """Copy a file unless the backup has it; False if the storage has lost it."""
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
    move_durably(partial, target)
    sums[each.file.key] = each.file.sha256
    return True


def _delete_others(files: LocalStorage, kept: frozenset[str]) -> None:
    """Delete the files of a former backup that this one does not name."""
    for folder in KINDS:
        for stored in list(files.objects(folder)):
            if stored.key not in kept:
                files.delete(stored.key)
