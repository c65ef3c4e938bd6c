"""The statements about fits. Their trials are ordinary jobs; each decision is stored together with its job."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, RowMapping, and_, delete, func, insert, or_, select, update

from service.core.errors import Conflict, LeaseLost
from service.core.records.fit import BASE, Fit, FitPhase, FitStatus, FitStep, StepKind, TrialJob, TrialResult
from service.core.records.fit_request import FitRequest
from service.core.records.job import Status, StopReason
from service.core.records.submission import NOWHERE, IdempotencyKey, NewJob, Origin
from service.core.spec.parts import direction
from service.core.sql.clock import now
from service.core.sql.experiments import Experiments
from service.core.sql.jobs.insert import insert_job
from service.core.sql.jobs.trials import resume_until
from service.core.sql.tables import WITH_BEST, epochs, fit_steps, fits, jobs
from service.core.sql.usage import refuse_another_job
from service.core.sql.webhook_messages import announce_end

MOST_EARLIER = 20  # ended fits that are read to learn from


@dataclass(frozen=True)
class NewFit:
    """A fit to be stored, with the job of its base and the data of its first step."""

    request: FitRequest
    name: str | None
    labels: Mapping[str, str]
    webhook: Mapping[str, Any] | None
    base: NewJob
    data: Mapping[str, Any]


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


class Fits(Experiments[Fit]):
    """The fits of all tenants."""

    table, column, noun, prefix = fits, "fit", "fit", "fit"

    def add(
        self, tenant: str, new: NewFit, key: IdempotencyKey | None = None, origin: Origin = NOWHERE
    ) -> tuple[str, tuple[str, ...]]:
        """Insert a fit with the job of its base, as `Experiments._insert` does: its id, and that of the new job."""
        row = {
            "request": new.request.to_dict(),
            "name": new.name,
            "labels": dict(new.labels),
            "webhook": new.webhook,
            "status": FitStatus.RUNNING,
            "phase": FitPhase.SEARCH,
            "cancel_requested": False,
            "attempt": 0,
            "version": 1,
        }
        base = replace(new.base, origin=replace(origin, trial=BASE))
        first = {"kind": StepKind.START, "trial": BASE, "data": dict(new.data)}

        def begun(c: Connection, fit_id: str, job_ids: Sequence[str]) -> None:
            c.execute(insert(fit_steps).values(fit_id=fit_id, number=1, at=now(), job_id=job_ids[0], **first))

        return self._insert(tenant, row, [base], key, begun)

    def get(self, tenant: str, fit_id: str) -> Fit:
        """A fit with its steps. Raises NotFound."""
        with self._db.read() as c:
            return _fit(self._row(c, tenant, fit_id), _steps(c, fit_id))

    def jobs_of(self, tenant: str, fit_id: str) -> tuple[tuple[str, Status], ...]:
        """The ids and statuses of a fit's jobs, in the order in which they were queued."""
        query = select(jobs.c.id, jobs.c.status).where(jobs.c.tenant == tenant, jobs.c.fit == fit_id)
        with self._db.read() as c:
            return tuple((row.id, Status(row.status)) for row in c.execute(query.order_by(jobs.c.seq)))

    def ended(self, tenant: str) -> tuple[Fit, ...]:
        """The newest ended fits of a tenant with their steps, at most MOST_EARLIER, the newest first."""
        query = select(fits).where(fits.c.tenant == tenant, fits.c.status != FitStatus.RUNNING)
        with self._db.read() as c:
            rows = c.execute(query.order_by(fits.c.seq.desc()).limit(MOST_EARLIER)).mappings().all()
            return tuple(_fit(row, _steps(c, row["id"])) for row in rows)

    def delete(self, tenant: str, experiment_id: str) -> None:
        """Delete an ended fit; its jobs stay. Raises NotFound, and Conflict for a running fit."""
        with self._db.write() as c:
            row = self._row(c, tenant, experiment_id)
            is_ended = and_(fits.c.id == experiment_id, fits.c.status != FitStatus.RUNNING)
            if row["status"] == FitStatus.RUNNING or not c.execute(delete(fits).where(is_ended)).rowcount:
                raise Conflict("the fit has not ended; cancel it first, or wait")

    def results(self, fit: Fit) -> tuple[TrialResult, ...]:
        """The jobs of a fit with the measures of their best epochs so far, in the order in which they were queued."""
        measures = [epochs.c.val_loss, epochs.c.val_accuracy, epochs.c[fit.request.objective].label("value")]
        whole = epochs.alias("whole")
        spent = select(func.sum(whole.c.seconds)).where(whole.c.job_id == jobs.c.id).scalar_subquery().label("seconds")
        query = select(jobs.c.id, jobs.c.status, jobs.c.last_epoch, *measures, spent).select_from(WITH_BEST)
        with self._db.read() as c:
            rows = c.execute(query.where(jobs.c.fit == fit.id).order_by(jobs.c.seq)).mappings().all()
        return tuple(
            TrialResult(
                row["id"],
                Status(row["status"]),
                row["last_epoch"] or 0,
                row["val_loss"],
                row["val_accuracy"],
                row["value"],
                row["seconds"] or 0.0,
            )
            for row in rows
        )

    def cancel(self, tenant: str, fit_id: str) -> bool:
        """Ask the conductor to end a running fit; False if it had ended or was cancelled before. Raises NotFound."""
        with self._db.write() as c:
            self._row(c, tenant, fit_id)
            is_open = and_(fits.c.id == fit_id, fits.c.status == FitStatus.RUNNING, ~fits.c.cancel_requested)
            asked = {"cancel_requested": True, "version": fits.c.version + 1}
            changed = c.execute(update(fits).where(is_open).values(**asked)).rowcount > 0
        if changed:
            self._on_change(fit_id)
        return changed

    # The conductor

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
            fit = _fit(row, _steps(c, lease.fit_id))
            waiting = [step for step in fit.steps if step.job_id and step.outcome is None]
            return Conducted(fit, {step.number: _trial_job(c, step, fit.request) for step in waiting}, row["time"])

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

    def advance(self, lease: FitLease, step: NewStep, phase: FitPhase | None = None) -> str | None:
        """Store a decision together with what it does to jobs; returns the id of its job, None if it has none.

        Raises LeaseLost, QuotaExceeded, and Conflict where the data set is gone or the job cannot go on.
        """
        with self._db.write() as c:
            more = {"phase": phase} if phase else {}
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

    def end(self, lease: FitLease, status: FitStatus, result: Mapping[str, Any]) -> None:
        """End the fit, with the message to its webhook. Raises LeaseLost."""
        ended = {"status": status, "result": dict(result), "finished_at": now(), "lease_until": None}
        with self._db.write() as c:
            _change(c, lease, {**ended, "version": fits.c.version + 1})
            announce_end(c, c.execute(select(fits).where(fits.c.id == lease.fit_id)).mappings().one())
        self._on_change(lease.fit_id)

    def _changed(self, lease: FitLease, values: Mapping[str, Any]) -> None:
        with self._db.write() as c:
            _change(c, lease, {**values, "version": fits.c.version + 1})
        self._on_change(lease.fit_id)

    def _record(self, row: RowMapping, counts: Mapping[Status, int]) -> Fit:
        return _fit(row, ())


def _is_held(lease: FitLease) -> Any:
    return and_(fits.c.id == lease.fit_id, fits.c.attempt == lease.attempt, fits.c.status == FitStatus.RUNNING)


def _change(c: Connection, lease: FitLease, values: Mapping[str, Any]) -> None:
    """Raises LeaseLost."""
    if not c.execute(update(fits).where(_is_held(lease)).values(**values)).rowcount:
        raise _lost(lease)


def _lost(lease: FitLease) -> LeaseLost:
    return LeaseLost(f"{lease.fit_id} is no longer conducted by attempt {lease.attempt}")


def _fit(row: RowMapping, steps: Sequence[FitStep]) -> Fit:
    names = ("id", "tenant", "name", "labels", "webhook", "cancel_requested", "attempt", "version", "result")
    times = ("created_at", "started_at", "finished_at")
    return Fit(
        **{name: row[name] for name in (*names, *times)},
        request=FitRequest.from_dict(row["request"]),
        status=FitStatus(row["status"]),
        phase=FitPhase(row["phase"]),
        steps=steps,
    )


def _steps(c: Connection, fit_id: str) -> tuple[FitStep, ...]:
    query = select(fit_steps).where(fit_steps.c.fit_id == fit_id).order_by(fit_steps.c.number)
    return tuple(_step(row) for row in c.execute(query).mappings())


def _step(row: RowMapping) -> FitStep:
    data = dict(row["data"])
    outcome = data.pop("outcome", None)
    names = ("number", "at", "trial", "job_id", "until_epoch")
    return FitStep(**{name: row[name] for name in names}, kind=StepKind(row["kind"]), data=data, outcome=outcome)


def _trial_job(c: Connection, step: FitStep, request: FitRequest) -> TrialJob | None:
    """What the job of a step has reached, None if the job was deleted."""
    job = c.execute(select(jobs).where(jobs.c.id == step.job_id)).mappings().one_or_none()
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
        best=value,
        started_at=job["started_at"],
    )
