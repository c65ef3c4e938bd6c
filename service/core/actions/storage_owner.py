"""The owner of a storage: an object at its root names the id of the installation whose database knows its files.

Without it, two installations that share a storage would delete each other's files as orphans.
"""

import json
import logging
from pathlib import Path
from tempfile import TemporaryDirectory

from service.core.errors import ObjectMissing, StorageError
from service.core.sql.engine import Database
from service.core.sql.installation_id import installation_id
from service.core.storage import Storage

MARK = "installation.json"  # key of the object, outside of the folders that sweeps delete from

log = logging.getLogger(__name__)


def owner_of(storage: Storage) -> str | None:
    """The installation that the storage's mark names, None if there is no mark. Raises StorageError."""
    try:
        with storage.open(MARK) as file:
            return str(json.load(file)["id"])
    except ObjectMissing:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StorageError(f"{MARK} in the storage cannot be read: {error}") from error


def mark(storage: Storage, database: Database) -> None:
    """Mark the storage as owned by this database, and replace a former mark. Raises StorageError."""
    with TemporaryDirectory() as folder:
        source = Path(folder, MARK)
        source.write_text(json.dumps({"id": installation_id(database)}) + "\n")
        storage.put(MARK, source)


def owns(database: Database, storage: Storage) -> bool:
    """Whether the storage's mark names the database. Raises StorageError.

    A storage without a mark is marked now and counts as owned from the next call on, because another database may
    mark it at the same time.
    """
    ours, theirs = installation_id(database), owner_of(storage)
    if theirs is None:
        mark(storage, database)
        log.info("marked the storage as that of installation %s: it had no %s", ours, MARK)
    elif theirs != ours:
        message = "orphaned files are not deleted: the storage belongs to installation %s (%s), the database to %s"
        log.warning(message, theirs, MARK, ours)
    return theirs == ours
