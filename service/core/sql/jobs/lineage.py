"""Reads the family of a job: its ancestors, and every job that was forked from one of the family."""

from collections.abc import Mapping

from sqlalchemy import Connection, and_, select

from service.core.errors import NotFound
from service.core.records.lineage import Relative
from service.core.sql.tables import epochs, jobs

MOST = 1_000  # jobs of a family that are read: the job and its ancestors first


def family(c: Connection, tenant: str, job_id: str) -> tuple[Relative, ...]:
    """At most MOST jobs, the oldest first. Raises NotFound."""
    own = jobs.c.tenant == tenant
    if c.execute(select(jobs.c.id).where(own, jobs.c.id == job_id)).scalar() is None:
        raise NotFound(f"there is no job {job_id!r}")
    known: dict[str, None] = {job_id: None}
    parent: str | None = job_id
    while parent is not None and len(known) < MOST:
        parent = c.execute(select(jobs.c.parent).where(own, jobs.c.id == parent)).scalar()
        if parent is not None:
            known[parent] = None
    newest = list(known)
    while newest and len(known) < MOST:
        forks = select(jobs.c.id).where(own, jobs.c.parent.in_(newest)).order_by(jobs.c.seq).limit(MOST)
        newest = [fork for fork in c.execute(forks).scalars() if fork not in known][: MOST - len(known)]
        known |= dict.fromkeys(newest)
    return _relatives(c, known)


def _relatives(c: Connection, ids: Mapping[str, None]) -> tuple[Relative, ...]:
    source = jobs.outerjoin(epochs, and_(epochs.c.job_id == jobs.c.id, epochs.c.epoch == jobs.c.best_epoch))
    of_job = (
        jobs.c.id,
        jobs.c.dataset,
        jobs.c.parent,
        jobs.c.advice,
        jobs.c.patch,
        jobs.c.spec["name"].as_string().label("name"),
    )
    of_run = (jobs.c.status, jobs.c.stop_reason, jobs.c.created_at, jobs.c.best_epoch)
    of_best = (epochs.c.val_loss.label("best_val_loss"), epochs.c.val_accuracy.label("best_val_accuracy"))
    query = select(*of_job, *of_run, *of_best).select_from(source).where(jobs.c.id.in_(ids)).order_by(jobs.c.seq)
    return tuple(Relative(**row) for row in c.execute(query).mappings())
