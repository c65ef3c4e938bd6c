"""Cancelling a job, and deleting the checkpoints that only a later run needs."""

import logging
from collections.abc import Sequence
from contextlib import suppress

from service.core.errors import NotFound, StorageError
from service.core.records.job import TERMINAL, Job, Status, superfluous
from service.services import services

log = logging.getLogger(__name__)


def cancel_job(tenant: str, job_id: str) -> tuple[Job, bool]:
    """Cancel a job. Returns it, and whether this call changed it. Raises NotFound."""
    job, changed = services().store.actions.cancel(tenant, job_id)
    if changed and job.is_terminal:  # no worker held it, so no worker cleans up
        _delete_checkpoints(job_id)
    return job, changed


def cancel_all(tenant: str, jobs: Sequence[tuple[str, Status]]) -> None:
    """Cancel the jobs that have not ended: ids with statuses, in the order in which they were queued.

    Queued jobs come first, the last in the queue before the others, so that no freed worker takes one of them.
    """
    unfinished = [job for job in reversed(jobs) if job[1] not in TERMINAL]
    for job_id, _ in sorted(unfinished, key=lambda job: job[1] is Status.RUNNING):
        with suppress(NotFound):  # the job was deleted in the meantime
            cancel_job(tenant, job_id)


def _delete_checkpoints(job_id: str) -> None:
    """Delete the checkpoints of an ended job. Those that the storage keeps are deleted with the job."""
    try:
        for key in superfluous(services().store.leases.checkpoints(job_id)):
            services().storage.delete(key)
    except StorageError as error:
        log.warning("checkpoints of %s could not be deleted: %s", job_id, error)
