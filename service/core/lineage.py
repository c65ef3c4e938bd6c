"""The family of a job: from the first one that it descends from to all that were forked from any of them."""

from sqlalchemy import Connection, select

from service.core.database import jobs
from service.core.jobs import Job
from service.core.records import WHOLE_JOB, read_job, read_jobs

MOST = 1_000  # jobs that are told of


def family(c: Connection, tenant: str, job_id: str) -> tuple[Job, ...]:
    """At most MOST jobs, the oldest first. Raises NotFound."""
    read_job(c, tenant, job_id)
    known = {job_id: None}
    own = jobs.c.tenant == tenant
    parent: str | None = job_id
    while parent is not None and len(known) < MOST:
        parent = c.execute(select(jobs.c.parent).where(own, jobs.c.id == parent)).scalar()
        if parent is not None:
            known[parent] = None
    newest = list(known)
    while newest and len(known) < MOST:
        found = select(jobs.c.id).where(own, jobs.c.parent.in_(newest)).order_by(jobs.c.seq).limit(MOST)
        newest = [child for child in c.execute(found).scalars() if child not in known]
        known |= dict.fromkeys(newest)
    rows = c.execute(WHOLE_JOB.where(own, jobs.c.id.in_(known)).order_by(jobs.c.seq).limit(MOST)).mappings().all()
    return read_jobs(c, rows)
