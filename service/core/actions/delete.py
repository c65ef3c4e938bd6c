"""Deletes jobs, data sets and weights, files and records, in an order that makes a crash in between harmless."""

import logging

from service.core.errors import StorageError
from service.core.records.weights import WEIGHTS
from service.core.sql.datasets import DatasetStore
from service.core.sql.jobs.store import Store
from service.core.sql.weights import WeightsStore
from service.core.storage import Storage

log = logging.getLogger(__name__)


def delete_job(store: Store, storage: Storage, tenant: str, job_id: str) -> None:
    """Delete an ended job and all its files. Raises NotFound, Conflict if it has not ended or a living job starts
    from its weights, and StorageError.

    The files go first: as long as the record exists, a failed deletion can be repeated.
    """
    store.actions.refuse_to_delete_living(tenant, job_id)
    storage.delete(f"jobs/{job_id}")
    store.actions.delete(tenant, job_id)


def delete_dataset(catalog: DatasetStore, storage: Storage, tenant: str, dataset_id: str) -> None:
    """Delete a data set. Raises NotFound, Conflict while a job that has not ended uses it, and StorageError.

    It is hidden first: from then on no new job can name it, and a worker finishes an interrupted deletion.
    """
    catalog.hide(tenant, dataset_id)
    storage.delete(f"datasets/{dataset_id}")
    catalog.forget(tenant, dataset_id)


def finish_deletions(catalog: DatasetStore | WeightsStore, storage: Storage, folder: str) -> None:
    """Finish deletions that another process has begun and not finished. `folder` of the storage has the files."""
    for tenant, owner in catalog.half_deleted():
        try:
            storage.delete(f"{folder}/{owner}")
        except StorageError as error:
            log.warning("%s cannot be deleted now: %s", owner, error)
            continue
        catalog.forget(tenant, owner)


def delete_weights(weights: WeightsStore, storage: Storage, tenant: str, weights_id: str) -> None:
    """Delete uploaded weights, in the order of `delete_dataset`.

    Raises NotFound, Conflict while a job that has not ended starts from them, and StorageError.
    """
    weights.hide(tenant, weights_id)
    storage.delete(f"{WEIGHTS}/{weights_id}")
    weights.forget(tenant, weights_id)
