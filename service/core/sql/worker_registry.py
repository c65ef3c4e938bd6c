"""The registry of live workers and their capacities: each worker renews its row every few seconds."""

from dataclasses import asdict, fields

from sqlalchemy import Connection, Engine, Float, bindparam, delete, insert, or_, select

from service.core.records.capacity import Capacity
from service.core.sql.clock import now
from service.core.sql.engine import Database
from service.core.sql.prepared import Prepared
from service.core.sql.tables import workers

LIVE_SECONDS = 60.0  # after its last heartbeat, for which a worker counts as alive
COLUMNS = tuple(workers.c[field.name] for field in fields(Capacity))
_LIVE = select(workers.c.id, *COLUMNS).where(workers.c.seen_at > now() - bindparam("within", type_=Float))
_PREPARED = Prepared(_LIVE)


class WorkerRegistry:
    """The workers, with the time of their last heartbeat by the database's clock."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def heartbeat(self, worker: str, forget_after: float, capacity: Capacity = Capacity()) -> None:  # noqa: B008 - frozen
        """Record that a worker is alive, and delete those that were not seen for `forget_after` seconds."""
        with self._db.write() as c:
            c.execute(delete(workers).where(or_(workers.c.id == worker, workers.c.seen_at < now() - forget_after)))
            c.execute(insert(workers).values(id=worker, seen_at=now(), **asdict(capacity)))

    def deregister(self, worker: str) -> None:
        """Delete a worker that has stopped."""
        with self._db.write() as c:
            c.execute(delete(workers).where(workers.c.id == worker))

    def clear(self) -> None:
        """Delete all workers: the record was restored from a backup."""
        with self._db.write() as c:
            c.execute(delete(workers))

    def live_workers(self, within: float) -> dict[str, Capacity]:
        """The capacities of the workers seen in the last `within` seconds, by their ids."""
        with self._db.read() as c:
            return live_workers(c, within)


def live_workers(c: Connection, within: float = LIVE_SECONDS) -> dict[str, Capacity]:
    """The capacities of the workers seen in the last `within` seconds, by their ids."""
    return {name: Capacity(*values) for name, *values in c.execute(_LIVE, {"within": within})}


def live_capacities(engine: Engine) -> list[Capacity]:
    """The capacities of the live workers, read in a transaction of its own, for clients that poll."""
    return [Capacity(*values) for _, *values in _PREPARED.rows(engine, within=LIVE_SECONDS)]
