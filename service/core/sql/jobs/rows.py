"""Rows to records: the one SELECT that fetches a whole job, and what its rows become."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, and_, bindparam, case, func, literal, select

from service.core.errors import NotFound
from service.core.records.capacity import Capacity, Needs, shortfall
from service.core.records.epoch import COLUMNS, Epoch
from service.core.records.facts import Facts
from service.core.records.job import Failure, Job, Phase, Status, StopReason, Transition, Waste
from service.core.spec import JobSpec
from service.core.sql.jobs.transitions import lost_attempts_of
from service.core.sql.tables import epochs, events, jobs
from service.core.sql.worker_registry import live_workers

MOST_AHEAD = 1_000  # jobs ahead of a queued one that are counted

_best, _last = epochs.alias("best"), epochs.alias("last")


def _whole_job() -> Select[Any]:
    source = jobs.outerjoin(_best, and_(_best.c.job_id == jobs.c.id, _best.c.epoch == jobs.c.best_epoch))
    source = source.outerjoin(_last, and_(_last.c.job_id == jobs.c.id, _last.c.epoch == jobs.c.last_epoch))
    return select(
        jobs,
        case((jobs.c.status == Status.QUEUED, _jobs_ahead())).label("jobs_ahead"),
        *(_best.c[name].label(f"best__{name}") for name in COLUMNS),
        *(_last.c[name].label(f"last__{name}") for name in COLUMNS),
    ).select_from(source)


def _jobs_ahead() -> ColumnElement[int]:
    """How many queued jobs come before a row of `jobs`: three ranges of the index jobs_in_order, counted in it.

    No further than MOST_AHEAD, so that it takes no longer in a long queue.
    """
    other = jobs.alias("other")
    same_priority = other.c.priority == jobs.c.priority
    ranges = (
        [other.c.priority > jobs.c.priority],
        [same_priority, other.c.turn < jobs.c.turn],
        [same_priority, other.c.turn == jobs.c.turn, other.c.seq < jobs.c.seq],
    )

    def counted(conditions: list[ColumnElement[bool]]) -> ColumnElement[int]:
        found = select(literal(1)).select_from(other).where(other.c.status == Status.QUEUED, *conditions)
        return select(func.count()).select_from(found.limit(MOST_AHEAD).correlate(jobs).subquery()).scalar_subquery()

    first, second, third = map(counted, ranges)
    total = first + second + third
    return case((total > MOST_AHEAD, MOST_AHEAD), else_=total)


# A SELECT of jobs with their best and last epoch and the number of jobs ahead of them; made once, as it is long.
WHOLE_JOB = _whole_job()
_ONE_JOB = WHOLE_JOB.where(jobs.c.tenant == bindparam("wanted_tenant"), jobs.c.id == bindparam("wanted_id"))
_TRANSITIONS = (
    select(events.c.job_id, events.c.data, events.c.at)
    .where(events.c.job_id.in_(bindparam("job_ids", expanding=True)), events.c.type == "status")
    .order_by(events.c.job_id, events.c.seq)
)


def read_job(c: Connection, tenant: str, job_id: str) -> Job:
    """Raises NotFound."""
    rows = c.execute(_ONE_JOB, {"wanted_tenant": tenant, "wanted_id": job_id}).mappings().all()
    if not rows:
        raise NotFound(f"there is no job {job_id!r}")
    return read_jobs(c, rows)[0]


def read_jobs(c: Connection, rows: Sequence[RowMapping]) -> tuple[Job, ...]:
    """The records of such rows, with their transitions."""
    transitions: dict[str, list[Transition]] = {row["id"]: [] for row in rows}
    waits = any(row["status"] == Status.QUEUED for row in rows)
    alive = tuple(live_workers(c).values()) if waits else ()
    for job_id, data, at in c.execute(_TRANSITIONS, {"job_ids": list(transitions)}):
        transitions[job_id].append(Transition(Status(data["status"]), at))
    return tuple(_job(row, transitions[row["id"]], alive) for row in rows)


def _job(row: RowMapping, transitions: Sequence[Transition], alive: Sequence[Capacity]) -> Job:
    needs = Needs(row["device"], row["gpus"], row["memory_bytes"])
    return Job(
        id=row["id"],
        tenant=row["tenant"],
        spec=JobSpec.from_dict(row["spec"]),
        status=Status(row["status"]),
        phase=Phase(row["phase"]) if row["phase"] else None,
        stop_reason=StopReason(row["stop_reason"]) if row["stop_reason"] else None,
        error=Failure(**row["error"]) if row["error"] else None,
        attempt=row["attempt"],
        version=row["version"],
        cancel_requested=row["cancel_requested"],
        pause_requested=row["pause_requested"],
        lost_attempts=lost_attempts_of(row),
        releases=row["releases"],
        warnings=tuple(row["warnings"]),
        jobs_ahead=row["jobs_ahead"],
        shortfall=shortfall(needs, alive) if row["status"] == Status.QUEUED else None,
        created_at=row["created_at"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        best=_epoch(row, "best"),
        last=_epoch(row, "last"),
        transitions=tuple(transitions),
        facts=Facts.from_dict(row["facts"]) if row["facts"] else None,
        waste=Waste(**row["waste"]) if row["waste"] else None,
        **{name: row[name] for name in ("split", "test_split", "parent", "patch", "advice", "ablation", "arm")},
    )


def _epoch(row: RowMapping, which: str) -> Epoch | None:
    if row[f"{which}__epoch"] is None:
        return None
    return Epoch(**{name: row[f"{which}__{name}"] for name in COLUMNS})
