"""`backup`, `restore` and `verify`: copy the state of a stack, bring it back, and check its files."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from service.cli.errors import FAILED
from service.cli.session import Session, json_option
from service.core.settings import Settings
from service.core.text import counted, format_size

if TYPE_CHECKING:
    from service.core.actions.backup import Backup
    from service.core.sql.engine import Database
    from service.core.storage import Storage

FOLDER = click.argument("folder", type=click.Path(file_okay=False, path_type=Path))


@click.command()
@FOLDER
@json_option
@click.pass_obj
def backup(session: Session, folder: Path) -> None:
    """Copy the SQLite database and all its files into FOLDER. The stack may run.

    FOLDER is new, empty or an earlier backup; to an earlier backup only new files are copied. The exit code is 1 if
    files are missing in the storage: they are listed, and the backup contains everything else.
    """
    from service.core.actions.backup import back_up  # noqa: PLC0415 - see service/cli/__init__.py

    with _stack() as (settings, database, storage):
        made = back_up(database, storage, settings.home, folder.resolve(), session.note)
    content = "all but the missing files" if made.lacking else "everything"
    words = (
        f"{folder} contains {content}: {counted(made.files, 'file')}, {format_size(made.bytes)}, schema {made.schema}"
    )
    session.answer(asdict(made), lambda: words + _missing_lines(made))
    if made.lacking:
        raise click.exceptions.Exit(FAILED)


@click.command()
@FOLDER
@json_option
@click.pass_obj
def restore(session: Session, folder: Path) -> None:
    """Restore the backup in FOLDER to the home and storage of the settings. There must be no database yet."""
    from service.core.actions.backup import restore as restore_backup  # noqa: PLC0415 - see service/cli/__init__.py

    with _stack() as (settings, database, storage):
        made = restore_backup(database, storage, folder.resolve(), session.note)
    words = f"{settings.home} has {counted(made.files, 'file')} of {folder}; start the stack"
    session.answer(asdict(made), lambda: words + _missing_lines(made))


@click.command()
@json_option
@click.pass_obj
def verify(session: Session) -> None:
    """Compare the SHA-256 of every file with the database. The exit code is 1 if a file is missing or damaged."""
    from service.core.sql.stored_files import missing, named  # noqa: PLC0415 - see service/cli/__init__.py

    with _stack() as (_, database, storage):
        faults, count = missing(database, storage), len(named(database))
    words = "\n".join(faults) or f"{counted(count, 'file')}, none missing or damaged"
    session.answer({"files": count, "faults": faults}, lambda: words)
    if faults:
        raise click.exceptions.Exit(FAILED)


@contextmanager
def _stack() -> "Iterator[tuple[Settings, Database, Storage]]":
    from service.core.sql.engine import Database  # noqa: PLC0415 - see service/cli/__init__.py
    from service.core.storage import open_storage  # noqa: PLC0415 - likewise

    settings = Settings.from_env()
    database = Database(settings.database_url)
    try:
        yield settings, database, open_storage(settings.storage_url)
    finally:
        database.close()


def _missing_lines(made: "Backup") -> str:
    lines = (f"\nmissing in the storage: {key}" for key in made.lacking)
    return "".join(lines)
