"""`backup`, `restore` and `verify`: the state of a stack, taken away, brought back and looked through."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from service.cli.errors import FAILED
from service.cli.session import Session, json_option
from service.core.counting import counted
from service.core.settings import Settings

if TYPE_CHECKING:
    from service.core.backup import Backup
    from service.core.database import Database
    from service.core.storage import Storage

FOLDER = click.argument("folder", type=click.Path(file_okay=False, path_type=Path))


@click.command()
@FOLDER
@json_option
@click.pass_obj
def backup(session: Session, folder: Path) -> None:
    """Copy the SQLite database and all files that it names into FOLDER, while the stack runs.

    FOLDER is new, empty, or a former backup, which is brought up to date: only what is new is copied. The exit code is
    1 where the storage has lost a file: it is told, and everything else is in the backup.
    """
    from service.core.backup import back_up  # noqa: PLC0415 - see service/cli/__init__.py

    with _places() as (settings, database, storage):
        made = back_up(database, storage, settings.home, folder.resolve(), _say(session))
    held = "what is left" if made.lacking else "everything"
    words = f"{folder} has {held}: {counted(made.files, 'file')}, {made.bytes:,} bytes, schema {made.schema}"
    session.answer(asdict(made), lambda: words + _lacking(made))
    if made.lacking:
        raise click.exceptions.Exit(FAILED)


@click.command()
@FOLDER
@json_option
@click.pass_obj
def restore(session: Session, folder: Path) -> None:
    """Bring the backup in FOLDER to where the settings say, which has no database yet; then start the stack."""
    from service.core.backup import restore as bring_back  # noqa: PLC0415 - see service/cli/__init__.py

    with _places() as (settings, database, storage):
        made = bring_back(database, storage, folder.resolve(), _say(session))
        shown = settings.home
    words = f"{shown} has {counted(made.files, 'file')} of {folder}; start the stack"
    session.answer(asdict(made), lambda: words + _lacking(made))


@click.command()
@json_option
@click.pass_obj
def verify(session: Session) -> None:
    """Read every file that the database names and compare its SHA-256; the exit code is 1 where one is missing."""
    from service.core.inventory import missing, named  # noqa: PLC0415 - see service/cli/__init__.py

    with _places() as (_, database, storage):
        faults, count = missing(database, storage), len(named(database))
    words = "\n".join(faults) or f"{counted(count, 'file')}, all there and as recorded"
    session.answer({"files": count, "faults": faults}, lambda: words)
    if faults:
        raise click.exceptions.Exit(FAILED)


@contextmanager
def _places() -> "Iterator[tuple[Settings, Database, Storage]]":
    from service.core.database import Database  # noqa: PLC0415 - see service/cli/__init__.py
    from service.core.storage import open_storage  # noqa: PLC0415 - likewise

    settings = Settings.from_env()
    database = Database(settings.database_url)
    try:
        yield settings, database, open_storage(settings.storage_url)
    finally:
        database.close()


def _lacking(made: "Backup") -> str:
    lines = (f"\nlacking, the storage had lost it: {key}" for key in made.lacking)
    return "".join(lines)


def _say(session: Session) -> Callable[[str], None]:
    return lambda words: session.notes.print(words, markup=False)
