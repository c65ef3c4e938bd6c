"""Deleting what is stored together with its record, in an order that a crash in between does no harm."""

from service.core.sql.datasets import DatasetStore
from service.core.sql.jobs.store import Store
from service.core.storage import Storage


def delete_job(store: Store, storage: Storage, tenant: str, job_id: str) -> None:
    """Delete an ended job and everything it published. Raises NotFound, Conflict while it lives, and StorageError.

    The files go first: what is left of a deletion that fails can be deleted again.
    """
    store.actions.refuse_to_delete_living(tenant, job_id)
    storage.delete(f"jobs/{job_id}")
    store.actions.delete(tenant, job_id)


def delete_dataset(catalog: DatasetStore, storage: Storage, tenant: str, dataset_id: str) -> None:
    """Delete a data set. Raises NotFound, Conflict while a job lives that uses it, and StorageError.

    It is hidden first: then no new job can name it, and a worker finishes what we do not.
    """
    catalog.hide(tenant, dataset_id)
    storage.delete(f"datasets/{dataset_id}")
    catalog.forget(tenant, dataset_id)
