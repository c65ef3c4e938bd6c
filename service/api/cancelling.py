"""Cancelling a job with what only a run could still need of it."""

import logging

from service.core.errors import StorageError
from service.core.records.job import Job, superfluous
from service.services import services

log = logging.getLogger(__name__)


def cancel(tenant: str, job_id: str) -> tuple[Job, bool]:
    """The job, and whether this changed it. Raises NotFound."""
    job, changed = services().store.actions.cancel(tenant, job_id)
    if changed and job.is_terminal:  # no worker held it, so none tidies up
        _forget_checkpoints(job_id)
    return job, changed


def _forget_checkpoints(job_id: str) -> None:
    """Delete what could only serve to go on; a storage that is away keeps it until the job is deleted."""
    try:
        for key in superfluous(services().store.leases.checkpoints(job_id)):
            services().storage.delete(key)
    except StorageError as error:
        log.warning("checkpoints of %s are left in the storage: %s", job_id, error)
