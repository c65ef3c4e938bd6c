"""Deletes jobs and data sets, files and records, in an order that makes a crash in between harmless."""

from service.core.sql.datasets import DatasetStore
from service.core.sql.jobs.store import Store
from service.core.storage import Storage


def delete_job(store: Store, storage: Storage, tenant: str, job_id: str) -> None:
    """Delete an ended job and all its files. Raises NotFound, Conflict if it has not ended, and StorageError.

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
