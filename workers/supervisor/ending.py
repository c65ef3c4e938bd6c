"""Records how an attempt ended: the job ends with it, is tried again, or is left to another worker."""

import logging
import time

from service.core.errors import CheckpointMismatch
from service.core.records.job import Failure, LostAttempt, Outcome, Status, StopReason
from service.core.records.job_log import LogLine
from service.core.sql.jobs.transitions import too_often
from service.core.storage import Artifact
from workers.supervisor.attempt import Attempt
from workers.supervisor.publishing import clean_up
from workers.telemetry.metrics import LOST, PUT_BACK

log = logging.getLogger(__name__)


def release(attempt: Attempt) -> bool:
    """Give the job up, to be continued from its last checkpoint: paused if its owner asks for that or if it has
    the epochs after which it pauses, else queued.

    False where its owner has cancelled it: then this attempt has to end it. Raises LeaseLost.
    """
    status = attempt.write(attempt.store.release, is_leaving=attempt.stop.is_requested)
    if status is None:
        return False
    attempt.observer.ended(PUT_BACK)
    log.info("%s is %s", attempt, status)
    return True


def leave_to_newer_worker(attempt: Attempt, failure: Failure) -> bool:
    """Put a job back that only a newer release understands. It does not count as a lost attempt.

    False where its owner has cancelled it: then this attempt has to end it. Raises LeaseLost.
    """
    attempt.write_log([LogLine(time.time(), "warning", f"left to a newer worker: {failure.detail}")])
    if attempt.write(attempt.store.release, is_leaving=False) is None:
        return False
    attempt.observer.ended(PUT_BACK)
    return True


def end(attempt: Attempt, outcome: Outcome, published: list[Artifact]) -> None:
    """End the job with this outcome. After a failure of the infrastructure, it is tried again later instead.

    Raises LeaseLost.
    """
    lease, store = attempt.lease, attempt.store
    error = outcome.error
    if error and error.code == CheckpointMismatch.code:
        attempt.write(store.rewind, lease.checkpoints[1] if len(lease.checkpoints) > 1 else None)
    if error and error.origin == "infrastructure" and outcome.stop_reason is not StopReason.OUT_OF_MEMORY:
        if _try_again(attempt, error):
            return
        if outcome.stop_reason is StopReason.WORKER_LOST:
            lost = (*lease.lost_attempts, LostAttempt(lease.attempt, attempt.worker, error.detail))
            outcome = Outcome(Status.FAILED, StopReason.WORKER_LOST, too_often(lost))
    outcome = attempt.write(store.finish, outcome, published)
    attempt.observer.ended(outcome.status)
    log.info("%s %s: %s", attempt, outcome.status, outcome.stop_reason)
    if outcome.status is not Status.FAILED:  # a failed job may be retried
        clean_up(attempt, published)


def _try_again(attempt: Attempt, error: Failure) -> bool:
    """Record a lost attempt; whether the job is tried again."""
    attempt.observer.failed_by_infrastructure()
    status = attempt.write(attempt.store.record_lost_attempt, error.detail, attempt.settings.retries)
    if status is None:
        return False
    attempt.observer.ended(LOST)
    log.warning("%s is %s again: %s", attempt, status, error.detail)
    return True
