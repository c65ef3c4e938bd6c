"""The leases of conductors on fits: claimed, renewed, written under, ended. Each decision is stored with its job."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, and_, func, insert, or_, select, update

from service.core.errors import LeaseLost
from service.core.records.fit import Fit, FitPhase, FitStatus, FitStep, StepKind, TrialJob
from service.core.records.fit_request import FitRequest
from service.core.records.job import Status, StopReason
from service.core.records.lessons import Lessons
from service.core.records.submission import NewJob
from service.core.spec.parts import direction
from service.core.sql.clock import now
from service.core.sql.fit_rows import fit_of, steps_of
from service.core.sql.jobs.insert import insert_job
from service.core.sql.jobs.rows import kept_scores
from service.core.sql.jobs.trials import resume_until
from service.core.sql.lessons import record_lessons
from service.core.sql.repository import Repository
from service.core.sql.tables import epochs, fit_steps, fits, jobs
from service.core.sql.usage import refuse_another_job
from service.core.sql.webhook_messages import announce_end


@dataclass(frozen=True)
class FitLease:
    """The right of one process to conduct a fit. `attempt` is the fencing token."""

    fit_id: str
    tenant: str
    attempt: int


@dataclass(frozen=True)
class NewStep:
    """A decision to be stored: with `job`, a new job of the trial; with `resumed`, the job that goes on."""

    kind: StepKind
    data: Mapping[str, Any]
    trial: int | None = None
    until_epoch: int | None = None
    job: NewJob | None = None
    resumed: str | None = None


@dataclass(frozen=True)
class Conducted:
    """A fit as its conductor reads it: with the jobs of the steps that have no outcome yet, by the number of the step.

    `time` is the time of the database, in unix seconds.
    """

    fit: Fit
    open_jobs: Mapping[int, TrialJob | None]
    time: float


class FitLeases(Repository):
    """A write under a lease is fenced: it raises LeaseLost, and changes nothing, once another attempt has the fit."""

    def claim(self, seconds: float) -> FitLease | None:
        """Take the right to conduct a running fit that no process conducts; None if there is none."""
        is_free = and_(
            fits.c.status == FitStatus.RUNNING, or_(fits.c.lease_until.is_(None), fits.c.lease_until < now())
        )
        with self._db.read() as c:  # mostly finds nothing, and needs no writer's lock
            if c.execute(select(fits.c.id).where(is_free).limit(1)).first() is None:
                return None
        first = select(fits.c.id).where(is_free).order_by(fits.c.seq).limit(1).with_for_update(skip_locked=True)
        taken = {"attempt": fits.c.attempt + 1, "lease_until": now() + seconds}
        statement = update(fits).where(fits.c.id == first.scalar_subquery(), is_free).values(**taken)
        with self._db.write() as c:
            row = c.execute(statement.returning(fits.c.id, fits.c.tenant, fits.c.attempt)).one_or_none()
        return FitLease(row.id, row.tenant, row.attempt) if row else None

    def renew(self, lease: FitLease, seconds: float) -> None:
        """Conduct the fit for another `seconds`. Raises LeaseLost."""
        with self._db.write() as c:
            _change(c, lease, {"lease_until": now() + seconds})

    def read(self, lease: FitLease) -> Conducted:
        """The fit with what its open steps have reached. Raises LeaseLost."""
        with self._db.read() as c:
            row = c.execute(select(fits, now().label("time")).where(_is_held(lease))).mappings().one_or_none()
            if row is None:
                raise _lost(lease)
            fit = fit_of(row, steps_of(c, lease.fit_id))
            waiting = [step for step in fit.steps if step.job_id and step.outcome is None]
            return Conducted(fit, {step.number: _trial_job(c, step, fit.request) for step in waiting}, row["time"])

    def has_news(self, lease: FitLease, version: int, job_ids: Sequence[str]) -> bool:
        """Whether the fit has changed since this version, or one of the jobs has come to rest or is gone. Far cheaper
        than reading the fit. Raises LeaseLost.
        """
        is_busy = jobs.c.status.in_((Status.QUEUED, Status.RUNNING))
        busy = select(func.count()).select_from(jobs).where(jobs.c.id.in_(job_ids), is_busy)
        with self._db.read() as c:
            known = c.execute(select(fits.c.version, busy.scalar_subquery()).where(_is_held(lease))).one_or_none()
        if known is None:
            raise _lost(lease)
        return (known[0], known[1]) != (version, len(job_ids))

    def begin(self, lease: FitLease, started_at: float) -> None:
        """Record when the first job was claimed: from then on the time of the budget runs. Raises LeaseLost."""
        self._changed(lease, {"started_at": started_at})

    def settle(self, lease: FitLease, outcomes: Mapping[int, Mapping[str, Any]]) -> None:
        """Record the outcomes of steps, by their numbers. Raises LeaseLost."""
        with self._db.write() as c:
            _change(c, lease, {"version": fits.c.version + 1})
            for number, outcome in outcomes.items():
                where = and_(fit_steps.c.fit_id == lease.fit_id, fit_steps.c.number == number)
                data = c.execute(select(fit_steps.c.data).where(where)).scalar_one()
                c.execute(update(fit_steps).where(where).values(data={**data, "outcome": dict(outcome)}))
        self._on_change(lease.fit_id)

    def advance(self, lease: FitLease, step: NewStep) -> str | None:
        """Store a decision together with what it does to jobs; returns the id of its job, None if it has none.

        Raises LeaseLost, QuotaExceeded, and Conflict where the data set is gone or the job cannot go on.
        """
        with self._db.write() as c:
            more = {"phase": FitPhase.FINALS} if step.kind is StepKind.FINALS else {}
            _change(c, lease, {"version": fits.c.version + 1, **more})
            job_id = step.resumed
            if step.resumed:
                resume_until(c, lease.tenant, step.resumed, step.until_epoch)
            if step.job:
                refuse_another_job(c, lease.tenant, self._quotas)
                job_id = f"job_{secrets.token_hex(10)}"
                insert_job(c, lease.tenant, job_id, step.job)
            number = select(func.coalesce(func.max(fit_steps.c.number), 0) + 1).where(
                fit_steps.c.fit_id == lease.fit_id
            )
            columns = {"kind": step.kind, "trial": step.trial, "until_epoch": step.until_epoch, "data": dict(step.data)}
            new = insert(fit_steps).values(
                fit_id=lease.fit_id, number=number.scalar_subquery(), at=now(), job_id=job_id, **columns
            )
            c.execute(new)
        for changed in filter(None, (job_id, lease.fit_id)):
            self._on_change(changed)
        return job_id

    def end(self, lease: FitLease, status: FitStatus, result: Mapping[str, Any], lessons: Lessons) -> None:
        """End the fit, with what it has shown and with the message to its webhook. Raises LeaseLost."""
        ended = {"status": status, "result": dict(result), "finished_at": now(), "lease_until": None}
        with self._db.write() as c:
            _change(c, lease, {**ended, "version": fits.c.version + 1})
            record_lessons(c, lease.tenant, lease.fit_id, lessons)
            announce_end(c, c.execute(select(fits).where(fits.c.id == lease.fit_id)).mappings().one())
        self._on_change(lease.fit_id)

    def _changed(self, lease: FitLease, values: Mapping[str, Any]) -> None:
        with self._db.write() as c:
            _change(c, lease, {**values, "version": fits.c.version + 1})
        self._on_change(lease.fit_id)


def _is_held(lease: FitLease) -> Any:
    return and_(fits.c.id == lease.fit_id, fits.c.attempt == lease.attempt, fits.c.status == FitStatus.RUNNING)


def _change(c: Connection, lease: FitLease, values: Mapping[str, Any]) -> None:
    """Raises LeaseLost."""
    if not c.execute(update(fits).where(_is_held(lease)).values(**values)).rowcount:
        raise _lost(lease)


def _lost(lease: FitLease) -> LeaseLost:
    return LeaseLost(f"{lease.fit_id} is no longer conducted by attempt {lease.attempt}")


def _trial_job(c: Connection, step: FitStep, request: FitRequest) -> TrialJob | None:
    """What the job of a step has reached, None if the job was deleted."""
    columns = (jobs.c.id, jobs.c.status, jobs.c.stop_reason, jobs.c.error, jobs.c.started_at, jobs.c.more_facts)
    job = c.execute(select(*columns).where(jobs.c.id == step.job_id)).mappings().one_or_none()
    if job is None:
        return None
    measure = epochs.c[request.objective]
    best = func.min(measure) if direction(request.objective) == "min" else func.max(measure)
    reached = select(func.count(), func.coalesce(func.sum(epochs.c.seconds), 0.0), best)
    reached = reached.where(epochs.c.job_id == step.job_id)
    if step.until_epoch is not None:
        reached = reached.where(epochs.c.epoch <= step.until_epoch)
    count, seconds, value = c.execute(reached).one()
    return TrialJob(
        id=job["id"],
        status=Status(job["status"]),
        stop_reason=StopReason(job["stop_reason"]) if job["stop_reason"] else None,
        detail=(job["error"] or {}).get("detail"),
        epochs=count,
        seconds=seconds,
        best=kept_scores(job).get(request.objective, value),
        started_at=job["started_at"],
    )
