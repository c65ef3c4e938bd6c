"""Reads the family of a job: its ancestors, and every job that was forked from one of the family."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import CTE, Connection, RowMapping, Select, and_, literal, select

from service.core.errors import NotFound
from service.core.records.experiment import is_whole
from service.core.records.job import Status, StopReason
from service.core.records.lineage import Ancestor, Family, Relative
from service.core.spec import JobSpec
from service.core.sql.jobs.rows import kept_scores
from service.core.sql.tables import WITH_BEST, epochs, jobs

MOST = 1_000  # jobs of a family that are read: the job and its ancestors first
NEAREST = 100  # ancestors whose specs are compared with advice


def family(c: Connection, tenant: str, job_id: str) -> tuple[Relative, ...]:
    """At most MOST jobs, the oldest first. Raises NotFound."""
    own, line = jobs.c.tenant == tenant, _line(tenant, job_id, MOST)
    rows = c.execute(select(line.c.id, line.c.parent).order_by(line.c.distance)).all()
    if not rows:
        raise NotFound(f"there is no job {job_id!r}")
    known: dict[str, None] = dict.fromkeys(row.id for row in rows)
    if rows[-1].parent is not None and len(known) < MOST:  # deleted; its forks are of the family
        known[rows[-1].parent] = None
    newest = list(known)
    while newest and len(known) < MOST:
        forks = select(jobs.c.id).where(own, jobs.c.parent.in_(newest)).order_by(jobs.c.seq).limit(MOST)
        newest = [fork for fork in c.execute(forks).scalars() if fork not in known][: MOST - len(known)]
        known |= dict.fromkeys(newest)
    return _relatives(c, known)


def tried(c: Connection, tenant: str, job_id: str) -> Family:
    """What was tried on the way to a job; empty for an unknown one. Two statements, however long its line is."""
    line = _line(tenant, job_id, 1 + NEAREST)
    columns = (jobs.c.spec, jobs.c.split, jobs.c.status, jobs.c.stop_reason, jobs.c.more_facts, epochs.c.val_loss)
    of_line = select(*columns).select_from(WITH_BEST.join(line, line.c.id == jobs.c.id)).order_by(line.c.distance)
    rows = c.execute(of_line).mappings().all()
    ancestors = tuple(Ancestor(JobSpec.from_dict(row["spec"]), _is_better(row, rows[0])) for row in rows[1:])
    forks = c.execute(_forks_by_advice(line)).mappings().all()
    changes = ((fork["advice"], _change(fork)) for fork in forks if _is_whole(fork))
    return Family(ancestors, {advice: change for advice, change in changes if change is not None})


def _is_better(ancestor: RowMapping, job: RowMapping) -> bool:
    """Whether an ancestor reached a lower loss on the validation images of a job that counts."""
    if not _is_whole(job) or job["split"] is None or job["split"] != ancestor["split"]:
        return False
    before, after = _val_loss(ancestor), _val_loss(job)
    return before is not None and (after is None or before < after)


def _val_loss(row: RowMapping | Mapping[str, Any]) -> float | None:
    """The validation loss of the model of a row with the loss of its best epoch: that of an average if one is kept."""
    loss: float | None = {"val_loss": row["val_loss"], **kept_scores(row)}["val_loss"]
    return loss


def _change(fork: RowMapping) -> float | None:
    """The loss of a fork minus that of its parent, None without either."""
    parent = {name: fork[f"parent_{name}"] for name in ("status", "more_facts", "val_loss")}
    before, after = _val_loss(parent), _val_loss(fork)
    return None if before is None or after is None else after - before


def _is_whole(row: RowMapping) -> bool:
    return is_whole(Status(row["status"]), StopReason(row["stop_reason"]) if row["stop_reason"] else None)


def _forks_by_advice(line: CTE) -> Select[Any]:
    """The newest MOST forks of a line on the validation images of their parents, with their advice."""
    parent, before = jobs.alias("parent"), epochs.alias("before")
    pairs = WITH_BEST.join(parent, and_(parent.c.id == jobs.c.parent, parent.c.split == jobs.c.split))
    pairs = pairs.join(before, and_(before.c.job_id == parent.c.id, before.c.epoch == parent.c.best_epoch))
    of_fork = (jobs.c.seq, jobs.c.advice, jobs.c.status, jobs.c.stop_reason, jobs.c.more_facts, epochs.c.val_loss)
    of_parent = (parent.c.status, parent.c.more_facts, before.c.val_loss)
    columns = (*of_fork, *(column.label(f"parent_{column.name}") for column in of_parent))
    own = and_(jobs.c.tenant == parent.c.tenant, parent.c.id.in_(select(line.c.id)))
    newest = select(*columns).select_from(pairs).where(own, jobs.c.advice.is_not(None), epochs.c.val_loss.is_not(None))
    newest_first = newest.order_by(jobs.c.seq.desc()).limit(MOST).subquery()
    return select(newest_first).order_by(newest_first.c.seq)


def _line(tenant: str, job_id: str, most: int) -> CTE:
    """The job and its nearest ancestors, at most `most` in all, with their parents and their distance from the job."""
    this = select(jobs.c.id, jobs.c.parent, literal(0).label("distance"))
    line = this.where(jobs.c.tenant == tenant, jobs.c.id == job_id).cte("line", recursive=True)
    parent = select(jobs.c.id, jobs.c.parent, line.c.distance + 1).join(line, jobs.c.id == line.c.parent)
    return line.union_all(parent.where(jobs.c.tenant == tenant, line.c.distance + 1 < most))


def _relatives(c: Connection, ids: Mapping[str, None]) -> tuple[Relative, ...]:
    of_job = (
        jobs.c.id,
        jobs.c.dataset,
        jobs.c.parent,
        jobs.c.advice,
        jobs.c.patch,
        jobs.c.weights,
        jobs.c.spec["name"].as_string().label("name"),
    )
    of_run = (jobs.c.status, jobs.c.stop_reason, jobs.c.created_at, jobs.c.best_epoch, jobs.c.more_facts)
    of_best = (epochs.c.val_loss, epochs.c.val_accuracy)
    query = select(*of_job, *of_run, *of_best).select_from(WITH_BEST).where(jobs.c.id.in_(ids)).order_by(jobs.c.seq)
    return tuple(map(_relative, c.execute(query).mappings()))


def _relative(row: RowMapping) -> Relative:
    """The job of a row with the scores of its model."""
    scores = {name: row[name] for name in ("val_loss", "val_accuracy")} | dict(kept_scores(row))
    others = {name: value for name, value in row.items() if name not in ("val_loss", "val_accuracy", "more_facts")}
    return Relative(**others, best_val_loss=scores["val_loss"], best_val_accuracy=scores["val_accuracy"])
