"""The leases of conductors on fits: claimed, renewed, written under, ended. Each decision is stored with its job."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, func, insert, or_, select, update

from service.core.errors import LeaseLost
from service.core.records.fit import Fit, FitPhase, FitStatus, FitStep, StepKind, TrialJob
from service.core.records.fit_request import FitRequest
from service.core.records.job import Status, StopReason
from service.core.records.lessons import Lessons
from service.core.records.quotas import UNLIMITED, Quotas
from service.core.records.submission import NewJob
from service.core.spec.parts import direction
from service.core.sql.clock import now
from service.core.sql.engine import Database
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
    """A write under a lease is fenced: it raises LeaseLost, and changes nothing, once another attempt has the fit.

    The steps that cannot change any more are read once for each lease.
    """

    _settled: dict[FitLease, tuple[FitStep, ...]]

    def __init__(
        self, database: Database, on_change: Callable[[str], None] = lambda channel: None, quotas: Quotas = UNLIMITED
    ) -> None:
        super().__init__(database, on_change, quotas)
        self._settled = {}

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
                self._settled.pop(lease, None)
                raise _lost(lease)
            known = self._settled.get(lease, ())
            steps = (*known, *steps_of(c, lease.fit_id, after=len(known)))
            self._settled[lease] = tuple(takewhile(lambda step: step.is_settled, steps))
            fit = fit_of(row, steps)
            return Conducted(fit, _open_jobs(c, fit), row["time"])

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
        first = min(outcomes, default=1)
        self._settled[lease] = self._settled.get(lease, ())[: first - 1]  # an outcome may be a second one
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
        self._settled.pop(lease, None)
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


def _open_jobs(c: Connection, fit: Fit) -> dict[int, TrialJob | None]:
    """By the number of the step, what the jobs of steps without an outcome have reached; None for a deleted one."""
    steps = {step.job_id: step for step in fit.steps if step.job_id and step.outcome is None}
    if not steps:
        return {}
    columns = (jobs.c.id, jobs.c.status, jobs.c.stop_reason, jobs.c.error, jobs.c.started_at, jobs.c.more_facts)
    found = {row["id"]: row for row in c.execute(select(*columns).where(jobs.c.id.in_(steps))).mappings()}
    measure = epochs.c[fit.request.objective]
    best = func.min(measure) if direction(fit.request.objective) == "min" else func.max(measure)
    reached = select(epochs.c.job_id, func.count(), func.sum(epochs.c.seconds), best).where(
        or_(*map(_upto, steps.values()))
    )
    epochs_of = {row[0]: row[1:] for row in c.execute(reached.group_by(epochs.c.job_id))}
    return {
        step.number: _trial_job(found[job_id], epochs_of.get(job_id, (0, 0.0, None)), fit.request)
        if job_id in found
        else None
        for job_id, step in steps.items()
    }


def _upto(step: FitStep) -> ColumnElement[bool]:
    """The condition on the epochs of a step's job that the step has asked for."""
    own = epochs.c.job_id == step.job_id
    return own if step.until_epoch is None else and_(own, epochs.c.epoch <= step.until_epoch)


def _trial_job(job: RowMapping, reached: Sequence[Any], request: FitRequest) -> TrialJob:
    """The job of a row; `reached` are the number of its epochs, their seconds, and the best objective."""
    count, seconds, best = reached
    return TrialJob(
        id=job["id"],
        status=Status(job["status"]),
        stop_reason=StopReason(job["stop_reason"]) if job["stop_reason"] else None,
        detail=(job["error"] or {}).get("detail"),
        epochs=count,
        seconds=seconds,
        best=kept_scores(job).get(request.objective, best),
        started_at=job["started_at"],
    )
