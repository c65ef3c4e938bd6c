"""Whose files a storage holds: the id of a database, and an object at the storage's root that names the same.

Of two databases over one storage, each would take the files of the other for orphans.
"""

import json
import logging
from pathlib import Path
from tempfile import TemporaryDirectory

from service.core.errors import ObjectMissing, StorageError
from service.core.sql.engine import Database
from service.core.sql.installation_id import installation_id
from service.core.storage import Storage

MARK = "installation.json"  # the object's key: beside the folders of jobs and data sets, which alone are swept

log = logging.getLogger(__name__)


def owner_of(storage: Storage) -> str | None:
    """The id in a storage's mark, None where it has no mark. Raises StorageError."""
    try:
        with storage.open(MARK) as file:
            return str(json.load(file)["id"])
    except ObjectMissing:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StorageError(f"{MARK} in the storage cannot be read: {error}") from error


def mark(storage: Storage, database: Database) -> None:
    """Make the storage the database's, whosever it was. Raises StorageError."""
    with TemporaryDirectory() as folder:
        source = Path(folder, MARK)
        source.write_text(json.dumps({"id": installation_id(database)}) + "\n")
        storage.put(MARK, source)


def owns(database: Database, storage: Storage) -> bool:
    """Whether the storage's mark is the database's. Where it has none yet it is given one, and is not owned before the
    next look: another may be giving it its own just now. Raises StorageError.
    """
    ours, theirs = installation_id(database), owner_of(storage)
    if theirs is None:
        mark(storage, database)
        log.info("the storage had no %s; now it is that of installation %s", MARK, ours)
    elif theirs != ours:
        log.warning(
            "no files are removed as unknown: the storage belongs to installation %s (%s), this database is that of %s",
            theirs, MARK, ours,
        )  # fmt: skip
    return theirs == ours
