"""What the owner of a job does with it: submit, cancel, pause, resume, retry, delete."""

import secrets
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, RowMapping, and_, delete, func, update
from sqlalchemy.exc import IntegrityError

from service.core.errors import Conflict
from service.core.records.facts import CalibrationFact
from service.core.records.job import TERMINAL, Job, Outcome, Status, StopReason
from service.core.records.plan import Plan
from service.core.records.submission import IdempotencyKey, NewJob
from service.core.sql.jobs import transitions
from service.core.sql.jobs.insert import insert_job, job_of_key, planned_columns, refuse_without_data
from service.core.sql.jobs.queue_order import next_turn
from service.core.sql.jobs.rows import facts_columns, facts_of, is_at_pause, read_job
from service.core.sql.jobs.transitions import change, end, locked, queue_again
from service.core.sql.repository import Repository
from service.core.sql.running_fits import refuse_of_running_fit
from service.core.sql.tables import artifacts, datasets, epochs, jobs, weights
from service.core.sql.usage import refuse_another_job, refuse_more_messages
from service.core.sql.weights import refuse_used, refuse_without_weights

# What a retried job forgets of its former end, and of its epochs where it begins anew.
_WITHOUT_AN_END: dict[str, Any] = {
    "error": None,
    "stop_reason": None,
    "finished_at": None,
    "losses": [],
    "cancel_requested": False,
    "waste": None,
}
_WITHOUT_EPOCHS: dict[str, Any] = {
    "checkpoints": [],
    "last_epoch": None,
    "best_epoch": None,
    "facts": None,
    "more_facts": None,
}


class OwnerActions(Repository):
    """Each action is one transaction. Of an action on a job: the job after it, and whether it has changed the job."""

    def submit(self, tenant: str, new: NewJob, key: IdempotencyKey | None = None) -> tuple[Job, bool]:
        """Insert a queued job with its first event and its key; the caller sends the hint after this returns.

        Returns the job and whether it is new: a second request with the same key gets the job of the first. Raises
        KeyReused where the first was another request, Conflict where the data set is gone by now, and QuotaExceeded.
        """
        job_id = f"job_{secrets.token_hex(10)}"
        try:
            with self._db.write() as c:
                if key and (known := job_of_key(c, tenant, key)):
                    return known, False
                refuse_another_job(c, tenant, self._quotas)
                if new.spec.webhook:
                    refuse_more_messages(c, tenant, self._quotas)
                insert_job(c, tenant, job_id, new, key)
                job = read_job(c, tenant, job_id)
        except IntegrityError:  # a concurrent request with this key was faster
            if key is None or (known := self.submitted_with(tenant, key)) is None:
                raise
            return known, False
        self._on_change(job_id)
        return job, True

    def submitted_with(self, tenant: str, key: IdempotencyKey) -> Job | None:
        """The job of a former request with this key. Raises KeyReused if that was another request."""
        with self._db.read() as c:
            return job_of_key(c, tenant, key)

    def cancel(self, tenant: str, job_id: str) -> tuple[Job, bool]:
        """End a job that no worker holds at once; ask the worker of a running one to cancel it."""

        def cancelled(c: Connection, row: RowMapping) -> bool:
            if row["status"] in TERMINAL or row["cancel_requested"]:
                return False
            if row["status"] == Status.RUNNING:
                change(c, jobs.c.id == job_id, {"cancel_requested": True}, "cancel_requested", {})
            else:
                end(c, jobs.c.id == job_id, Outcome(Status.CANCELLED, StopReason.CANCELLED))
            return True

        return self._act(tenant, job_id, cancelled)

    def pause(self, tenant: str, job_id: str) -> tuple[Job, bool]:
        """Pause a queued job at once; ask the worker of a running one to pause it. Raises Conflict for an ended one."""

        def paused(c: Connection, row: RowMapping) -> bool:
            _refuse_if_cancelled(row)
            if row["status"] == Status.PAUSED or row["pause_requested"]:
                return False
            if row["status"] == Status.QUEUED:
                transitions.pause(c, jobs.c.id == job_id, {})
            elif row["status"] == Status.RUNNING:
                change(c, jobs.c.id == job_id, {"pause_requested": True}, "pause_requested", {})
            else:
                raise _conflict(row, "only a queued or running job can be paused")
            return True

        return self._act(tenant, job_id, paused)

    def resume(self, tenant: str, job_id: str, plan: Plan | None = None) -> tuple[Job, bool]:
        """Queue a paused job again, or withdraw the request to pause a running one. Raises Conflict for any other.

        With a plan, which needs a paused job, as many processes as it says will train the job; one that scores a model
        takes no plan. A job that was paused
        because it had reached its `pause_after` is trained to its end.
        """

        def resumed(c: Connection, row: RowMapping) -> bool:
            _refuse_if_cancelled(row)
            if row["status"] == Status.PAUSED:
                pause_after = None if is_at_pause(row) else row["pause_after"]
                values = {"turn": next_turn(c, tenant, row["priority"]), "pause_after": pause_after}
                queue_again(c, jobs.c.id == job_id, values | planned_columns(plan, row))
            elif row["pause_requested"] and plan is None:
                change(c, jobs.c.id == job_id, {"pause_requested": False}, "resume_requested", {})
            else:
                raise _conflict(row, "only a paused job can be resumed")
            return True

        return self._act(tenant, job_id, resumed)

    def retry(self, tenant: str, job_id: str, plan: Plan | None = None) -> tuple[Job, bool]:
        """Queue a failed job again. Raises Conflict for any other.

        It continues from its last checkpoint if the infrastructure was at fault, and starts anew otherwise. With a
        plan, as many processes as it says will train the job; one that scores a model takes no plan.
        """

        def retried(c: Connection, row: RowMapping) -> bool:
            if row["status"] != Status.FAILED:
                raise _conflict(row, "only a failed job can be retried")
            refuse_without_data(c, tenant, row["dataset"])
            refuse_without_weights(c, tenant, row["weights"])
            values = _WITHOUT_AN_END | planned_columns(plan, row)
            if (row["error"] or {}).get("origin") != "infrastructure":
                values |= _WITHOUT_EPOCHS
                c.execute(delete(epochs).where(epochs.c.job_id == job_id))
            c.execute(delete(artifacts).where(artifacts.c.job_id == job_id))
            values["turn"] = next_turn(c, tenant, row["priority"])
            queue_again(c, jobs.c.id == job_id, values)
            return True

        return self._act(tenant, job_id, retried)

    def calibrate(self, tenant: str, job_id: str, calibration: CalibrationFact) -> tuple[Job, bool]:
        """Record the temperature of an ended job that has none. Raises NotFound, and Conflict for a living job."""

        def calibrated(c: Connection, row: RowMapping) -> bool:
            if row["status"] not in TERMINAL:
                raise _conflict(row, "only an ended job can be calibrated")
            facts = facts_of(row)
            if not facts or facts.get("calibration"):
                return False
            fact = {"calibration": asdict(calibration)}
            change(c, jobs.c.id == job_id, facts_columns(facts | fact), "facts", fact)
            return True

        return self._act(tenant, job_id, calibrated)

    def refuse_to_delete_living(self, tenant: str, job_id: str) -> None:
        """Raise Conflict unless the job and its fit have ended, and while a living job starts from its weights. Raises
        NotFound.
        """
        with self._db.read() as c:
            _refuse_living(read_job(c, tenant, job_id).status)
            refuse_of_running_fit(c, jobs.c.id == job_id, "the job")
            refuse_used(c, job_id)

    def delete(self, tenant: str, job_id: str) -> None:
        """Delete the record of an ended job; raises Conflict for any other."""
        with self._db.write() as c:
            row = locked(c, tenant, job_id)
            _refuse_living(row["status"])
            refuse_of_running_fit(c, jobs.c.id == job_id, "the job")
            ended_at = row["finished_at"] or 0.0
            for table, used in ((datasets, row["dataset"]), (weights, row["weights"])):
                this = and_(
                    table.c.tenant == tenant, table.c.id == used, func.coalesce(table.c.used_at, 0.0) < ended_at
                )
                c.execute(update(table).where(this).values(used_at=ended_at))
            c.execute(delete(jobs).where(jobs.c.id == job_id))

    def _act(self, tenant: str, job_id: str, action: Callable[[Connection, RowMapping], bool]) -> tuple[Job, bool]:
        """The job after the action, and whether the action has changed it. Raises NotFound."""
        with self._db.write() as c:
            changed = action(c, locked(c, tenant, job_id))
            job = read_job(c, tenant, job_id)
        if changed:
            self._on_change(job_id)
        return job, changed


def _refuse_living(status: str) -> None:
    if status not in TERMINAL:
        raise Conflict(f"the job is {status}; cancel it first, or wait until it ends")


def _refuse_if_cancelled(row: RowMapping) -> None:
    if row["cancel_requested"] and row["status"] not in TERMINAL:
        raise Conflict("the job is being cancelled; nothing else can be done to it until it has ended")


def _conflict(row: RowMapping, why: str) -> Conflict:
    return Conflict(f"the job is {row['status']}; {why}")
