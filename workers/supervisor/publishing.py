"""Publishes the artifacts of an attempt, and deletes what an ended job needs no more."""

import logging

from service.core.errors import StorageError
from service.core.records.artifact_names import BEST_MODEL
from service.core.records.job import Failure, Outcome, Status, StopReason, superfluous
from service.core.storage import Artifact, discard
from workers.supervisor.attempt import Attempt

log = logging.getLogger(__name__)


def publish(attempt: Attempt, outcome: Outcome, *, was_killed: bool) -> tuple[Outcome, list[Artifact]]:
    """Copy the artifacts to the storage. Returns the outcome, which is a failure if they cannot be stored.

    The files of a trainer that was killed may be newer than its last report. Its last checkpoint is not, so where there
    is one, nothing is published beside it. Raises LeaseLost.
    """
    attempt.keeper.check()
    if was_killed and attempt.store.checkpoints(attempt.lease.job_id):
        return outcome, []
    try:
        with attempt.observer.publishing():
            files = attempt.scratch.published()
            return outcome, [attempt.storage.put(f"{attempt.prefix}/{path.name}", path) for path in files]
    except StorageError as error:
        log.error("%s: cannot store the artifacts: %s", attempt, error)
        failure = Failure("infrastructure", error.code, str(error))
        return Outcome(Status.FAILED, StopReason.INTERNAL_ERROR, failure), []


def clean_up(attempt: Attempt, published: list[Artifact]) -> None:
    """Delete the checkpoints of an ended job and the files of its earlier attempts.

    Where no best model was published, the one of the newest checkpoint stays: it is the job's result.
    """
    if all(artifact.name != BEST_MODEL for artifact in published):
        for key in superfluous(attempt.store.checkpoints(attempt.lease.job_id)):
            discard(attempt.storage, key)
        return
    for number in range(1, attempt.lease.attempt):
        discard(attempt.storage, f"jobs/{attempt.lease.job_id}/a{number}")
    discard(attempt.storage, attempt.checkpoints_prefix)
