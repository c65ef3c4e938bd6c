"""Cancelling a job, and deleting the checkpoints that only a later run needs."""

import logging

from service.core.errors import StorageError
from service.core.records.job import Job, superfluous
from service.services import services

log = logging.getLogger(__name__)


def cancel_job(tenant: str, job_id: str) -> tuple[Job, bool]:
    """Cancel a job. Returns it, and whether this call changed it. Raises NotFound."""
    job, changed = services().store.actions.cancel(tenant, job_id)
    if changed and job.is_terminal:  # no worker held it, so no worker cleans up
        _delete_checkpoints(job_id)
    return job, changed


def _delete_checkpoints(job_id: str) -> None:
    """Delete the checkpoints of an ended job. Those that the storage keeps are deleted with the job."""
    try:
        for key in superfluous(services().store.leases.checkpoints(job_id)):
            services().storage.delete(key)
    except StorageError as error:
        log.warning("checkpoints of %s could not be deleted: %s", job_id, error)
