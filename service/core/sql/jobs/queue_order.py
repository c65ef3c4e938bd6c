"""The order in which queued jobs are claimed: by priority, then by turn, then by age."""

from sqlalchemy import ColumnElement, Connection, and_, func, literal_column, select, union_all

from service.core.records.job import Status
from service.core.sql.tables import jobs

TAKEN_FIRST = (jobs.c.priority.desc(), jobs.c.turn, jobs.c.seq)
MOST_AHEAD = 1_000  # jobs ahead of a queued one that are counted


def next_turn(c: Connection, tenant: str, priority: int) -> int:
    """The turn of a job that joins the queue: the tenant's next one, but none that has passed already.

    So tenants take turns within a priority, however many jobs one of them has queued (start-time fair queueing: Goyal,
    Vin and Cheng, "Start-time Fair Queuing", SIGCOMM 1996, with jobs of equal weight).
    """
    waiting = and_(jobs.c.status == Status.QUEUED, jobs.c.priority == priority)
    head = c.execute(select(func.min(jobs.c.turn)).where(waiting)).scalar()
    own = c.execute(select(func.max(jobs.c.turn)).where(waiting, jobs.c.tenant == tenant)).scalar()
    return max(head or 0, 0 if own is None else own + 1)


def jobs_ahead() -> ColumnElement[int]:
    """How many queued jobs come before a row of `jobs`: three ranges of the index jobs_in_order, counted in it.

    At most MOST_AHEAD are counted, which bounds the time that it takes in a long queue.
    """
    other = jobs.alias("other")
    same_priority = other.c.priority == jobs.c.priority
    ranges = (
        (other.c.priority > jobs.c.priority,),
        (same_priority, other.c.turn < jobs.c.turn),
        (same_priority, other.c.turn == jobs.c.turn, other.c.seq < jobs.c.seq),
    )
    one: ColumnElement[int] = literal_column("1")
    queued = select(one).select_from(other).where(other.c.status == Status.QUEUED).correlate(jobs)
    ahead = union_all(*(queued.where(*conditions) for conditions in ranges))
    # A constant, because SQLite plans the statement anew for each value of a parameter here.
    most: ColumnElement[int] = literal_column(str(MOST_AHEAD))
    return select(func.count()).select_from(ahead.limit(most).subquery()).scalar_subquery()
