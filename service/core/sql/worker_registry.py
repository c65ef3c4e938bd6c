"""Which workers are alive, and what they have: each says so every few seconds in a row of its own."""

from dataclasses import asdict, fields

from sqlalchemy import Connection, delete, insert, or_, select

from service.core.records.capacity import Capacity
from service.core.sql.clock import now
from service.core.sql.engine import Database
from service.core.sql.tables import workers

LIVE_SECONDS = 60.0  # since its last word, a worker is told of as alive
COLUMNS = tuple(workers.c[field.name] for field in fields(Capacity))


class WorkerRegistry:
    """The workers seen lately, by the database's clock."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def heartbeat(self, worker: str, forget_after: float, capacity: Capacity = Capacity()) -> None:  # noqa: B008 - frozen
        """Record that a worker is alive, and forget those unseen for so many seconds."""
        with self._db.write() as c:
            c.execute(delete(workers).where(or_(workers.c.id == worker, workers.c.seen_at < now() - forget_after)))
            c.execute(insert(workers).values(id=worker, seen_at=now(), **asdict(capacity)))

    def deregister(self, worker: str) -> None:
        """The worker has stopped."""
        with self._db.write() as c:
            c.execute(delete(workers).where(workers.c.id == worker))

    def clear(self) -> None:
        """Nobody is alive: the record is of another time or place."""
        with self._db.write() as c:
            c.execute(delete(workers))

    def live_workers(self, within: float) -> dict[str, Capacity]:
        """The workers seen in the last so many seconds."""
        with self._db.read() as c:
            return live_workers(c, within)


def live_workers(c: Connection, within: float = LIVE_SECONDS) -> dict[str, Capacity]:
    """The workers seen in the last so many seconds."""
    rows = c.execute(select(workers.c.id, *COLUMNS).where(workers.c.seen_at > now() - within))
    return {name: Capacity(*values) for name, *values in rows}
