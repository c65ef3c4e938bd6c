"""Rows of jobs to records, and the one SELECT that reads a whole job."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Engine, RowMapping, Select, and_, bindparam, case, select

from service.core.errors import NotFound
from service.core.records.capacity import Capacity, Needs, shortfall
from service.core.records.epoch import COLUMNS, Epoch
from service.core.records.facts import Average, Facts
from service.core.records.job import (
    Checkpoint,
    Failure,
    Job,
    LostAttempt,
    Mark,
    Phase,
    Status,
    StopReason,
    Transition,
    Waste,
    kept_average,
)
from service.core.spec import JobSpec
from service.core.sql.jobs.queue_order import jobs_ahead
from service.core.sql.prepared import Prepared
from service.core.sql.tables import epochs, events, jobs
from service.core.sql.worker_registry import live_capacities, live_workers
from service.core.storage import Artifact

_best, _last = epochs.alias("best"), epochs.alias("last")


def _whole_job() -> Select[Any]:
    source = jobs.outerjoin(_best, and_(_best.c.job_id == jobs.c.id, _best.c.epoch == jobs.c.best_epoch))
    source = source.outerjoin(_last, and_(_last.c.job_id == jobs.c.id, _last.c.epoch == jobs.c.last_epoch))
    return select(
        jobs,
        case((jobs.c.status == Status.QUEUED, jobs_ahead())).label("jobs_ahead"),
        *(_best.c[name].label(f"best__{name}") for name in COLUMNS),
        *(_last.c[name].label(f"last__{name}") for name in COLUMNS),
    ).select_from(source)


# A SELECT of jobs with their best and last epoch and the number of jobs ahead of them; built once, as that takes long.
WHOLE_JOB = _whole_job()
_OF_ONE = (jobs.c.tenant == bindparam("of_tenant"), jobs.c.id == bindparam("of_id"))
_ONE_JOB = WHOLE_JOB.where(*_OF_ONE)
_NEEDS = (jobs.c.device, jobs.c.gpus, jobs.c.memory_bytes, jobs.c.threads)
_STATE = Prepared(select(jobs.c.status, jobs.c.version).where(*_OF_ONE))
_QUEUED = Prepared(select(jobs.c.version, jobs_ahead(), *_NEEDS).where(*_OF_ONE, jobs.c.status == Status.QUEUED))
_TRANSITIONS = (
    select(events.c.job_id, events.c.data, events.c.at)
    .where(events.c.job_id.in_(bindparam("job_ids", expanding=True)), events.c.type == "status")
    .order_by(events.c.job_id, events.c.seq)
)


def read_job(c: Connection, tenant: str, job_id: str) -> Job:
    """Raises NotFound."""
    rows = c.execute(_ONE_JOB, {"of_tenant": tenant, "of_id": job_id}).mappings().all()
    if not rows:
        raise NotFound(f"there is no job {job_id!r}")
    return read_jobs(c, rows)[0]


def read_mark(engine: Engine, tenant: str, job_id: str) -> Mark:
    """The mark of a job. Raises NotFound."""
    of_one = {"of_tenant": tenant, "of_id": job_id}
    found = _STATE.rows(engine, **of_one)
    if not found:
        raise NotFound(f"there is no job {job_id!r}")
    status, version = found[0]
    if status != Status.QUEUED:
        return Mark(Status(status), version, None, None)
    waits = _QUEUED.rows(engine, **of_one)
    if not waits:  # it has left the queue since
        return read_mark(engine, tenant, job_id)
    version, ahead, *needs = waits[0]
    return Mark(Status.QUEUED, version, ahead, shortfall(Needs(*needs), live_capacities(engine)))


def read_jobs(c: Connection, rows: Sequence[RowMapping]) -> tuple[Job, ...]:
    """The records of rows of WHOLE_JOB, with their transitions."""
    transitions: dict[str, list[Transition]] = {row["id"]: [] for row in rows}
    waits = any(row["status"] == Status.QUEUED for row in rows)
    alive = tuple(live_workers(c).values()) if waits else ()
    for job_id, data, at in c.execute(_TRANSITIONS, {"job_ids": list(transitions)}):
        transitions[job_id].append(Transition(Status(data["status"]), at))
    return tuple(_job(row, transitions[row["id"]], alive) for row in rows)


def _job(row: RowMapping, transitions: Sequence[Transition], alive: Sequence[Capacity]) -> Job:
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
        shortfall=shortfall(needs_of(row), alive) if row["status"] == Status.QUEUED else None,
        created_at=row["created_at"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        best=_epoch(row, "best"),
        last=_epoch(row, "last"),
        transitions=tuple(transitions),
        facts=Facts.from_dict(facts) if (facts := facts_of(row)) else None,
        waste=Waste(**row["waste"]) if row["waste"] else None,
        **{name: row[name] for name in ("split", "test_split")},
        **{name: row[name] for name in ("parent", "patch", "advice", "ablation", "arm", "folds", "fit", "trial")},
    )


def _epoch(row: RowMapping, which: str) -> Epoch | None:
    if row[f"{which}__epoch"] is None:
        return None
    return Epoch(**{name: row[f"{which}__{name}"] for name in COLUMNS})


def needs_of(row: RowMapping) -> Needs:
    """The needs in a job's row."""
    return Needs(row["device"], row["gpus"], row["memory_bytes"], row["threads"])


def is_at_pause(row: RowMapping) -> bool:
    """Whether a job has the epochs after which it is to be paused."""
    return row["pause_after"] is not None and (row["last_epoch"] or 0) >= row["pause_after"]


FIRST_FACTS = ("images", "trivial_loss", "trivial_accuracy", "copies_across", "test")  # those of release 0.1.0


def facts_of(row: RowMapping) -> dict[str, Any]:
    """The facts of a job from both columns; empty without the first ones."""
    return {**row["facts"], **(row["more_facts"] or {})} if row["facts"] else {}


def kept_scores(row: RowMapping | Mapping[str, Any]) -> Mapping[str, Any]:
    """The validation scores of the model of a job's row if it is the average of several epochs; empty otherwise."""
    average = kept_average(Status(row["status"]), average_of(row))
    return average.scores if average else {}


def average_of(row: RowMapping | Mapping[str, Any]) -> Average | None:
    """What came of averaging the best epochs of a job's row; None without average_best, or until the run ends."""
    average = (row["more_facts"] or {}).get("average")
    return Average.from_dict(average) if average else None


def facts_columns(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The two columns of facts. An API of release 0.1.0, which reads the first one, knows no other members there."""
    more = {name: value for name, value in facts.items() if name not in FIRST_FACTS}
    return {"facts": {name: facts[name] for name in FIRST_FACTS if name in facts}, "more_facts": more or None}


def lost_attempts_of(row: RowMapping) -> tuple[LostAttempt, ...]:
    """The lost attempts in a job's row, the oldest first."""
    return tuple(LostAttempt(**stored) for stored in row["losses"])


def checkpoints_of(row: RowMapping) -> tuple[Checkpoint, ...]:
    """The checkpoints in a job's row, the newest first."""
    return tuple(
        Checkpoint(
            last=Artifact(**stored["last"]),
            best=Artifact(**stored["best"]) if stored["best"] else None,
            epochs=stored["epochs"],
            best_epoch=stored["best_epoch"],
        )
        for stored in row["checkpoints"]
    )
