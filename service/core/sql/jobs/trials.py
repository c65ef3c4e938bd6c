"""What a fit does with its paused trials, within a transaction of its conductor.

The caller announces the change of each job after the commit.
"""

from sqlalchemy import Connection, RowMapping

from service.core.errors import Conflict
from service.core.records.job import Outcome, Status, StopReason, superfluous
from service.core.sql.jobs.queue_order import next_turn
from service.core.sql.jobs.rows import checkpoints_of
from service.core.sql.jobs.transitions import end, locked, queue_again
from service.core.sql.tables import jobs


def resume_until(c: Connection, tenant: str, job_id: str, pause_after: int | None) -> None:
    """Queue a paused job again, to be paused after that epoch (None: to be trained to its end). The dispatcher sends
    its hint. Raises NotFound, and Conflict for a job that is not paused.
    """
    row = _locked_paused(c, tenant, job_id)
    values = {"turn": next_turn(c, tenant, row["priority"]), "pause_after": pause_after}
    queue_again(c, jobs.c.id == job_id, values)


def cancel_paused(c: Connection, tenant: str, job_id: str) -> tuple[str, ...]:
    """End a paused job with the best model of its last checkpoint. Returns the storage keys of its checkpoints that are
    not needed any more. Raises NotFound, and Conflict for a job that is not paused.
    """
    row = _locked_paused(c, tenant, job_id)
    end(c, jobs.c.id == job_id, Outcome(Status.CANCELLED, StopReason.CANCELLED))
    return superfluous(checkpoints_of(row))


def _locked_paused(c: Connection, tenant: str, job_id: str) -> RowMapping:
    row = locked(c, tenant, job_id)
    if row["status"] != Status.PAUSED:
        raise Conflict(f"the job is {row['status']}, not paused")
    return row
