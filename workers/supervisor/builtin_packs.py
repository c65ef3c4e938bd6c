"""Puts the packs of built-in data sets into the storage, so that the API can read their images: once for each set."""

import logging

from service.core.errors import ObjectMissing, StorageError
from service.core.records.builtin_datasets import BUILT_IN, pack_key
from service.core.records.dataset import INDEX, PIXELS
from service.core.storage import Storage
from workers.supervisor.attempt import Attempt

log = logging.getLogger(__name__)


def is_lacking(storage: Storage, dataset_id: str) -> bool:
    """Whether this is a built-in set whose pack is not in the storage."""
    if dataset_id not in BUILT_IN:
        return False
    try:
        storage.open(pack_key(dataset_id, INDEX)).close()
    except ObjectMissing:
        return True
    except StorageError as error:
        log.warning("the storage does not say whether it has the images of %s: %s", dataset_id, error)
    return False


def store_pack(attempt: Attempt) -> None:
    """Store the pack that the trainer has written, if it has; the index goes last: with it the set is complete."""
    dataset_id, folder = attempt.lease.spec["dataset"]["id"], attempt.scratch.pack
    try:
        for name in (PIXELS, INDEX) if (folder / INDEX).exists() else ():
            attempt.storage.put(pack_key(dataset_id, name), folder / name)
    except StorageError as error:  # the next job on the set tries again
        log.warning("the images of %s cannot be stored: %s", dataset_id, error)
