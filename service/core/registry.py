"""Which workers are alive: each says so every few seconds in a row of its own."""

from sqlalchemy import delete, insert, or_, select

from service.core.database import Database, now, workers


class Registry:
    """The workers seen lately, by the database's clock."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def greet(self, worker: str, forget_after: float) -> None:
        """Record that a worker is alive, and forget those unseen for so many seconds."""
        with self._db.write() as c:
            c.execute(delete(workers).where(or_(workers.c.id == worker, workers.c.seen_at < now() - forget_after)))
            c.execute(insert(workers).values(id=worker, seen_at=now()))

    def farewell(self, worker: str) -> None:
        """The worker has stopped."""
        with self._db.write() as c:
            c.execute(delete(workers).where(workers.c.id == worker))

    def clear(self) -> None:
        """Nobody is alive: the record is of another time or place."""
        with self._db.write() as c:
            c.execute(delete(workers))

    def live_workers(self, within: float) -> tuple[str, ...]:
        """The workers seen in the last so many seconds."""
        with self._db.read() as c:
            return tuple(c.execute(select(workers.c.id).where(workers.c.seen_at > now() - within)).scalars())

    def releases(self, within: float) -> dict[str, str | None]:
        """The release of each worker seen in the last so many seconds; None: one that does not say."""
        wanted = select(workers.c.id, workers.c.version).where(workers.c.seen_at > now() - within)
        with self._db.read() as c:
            return {row.id: row.version for row in c.execute(wanted.order_by(workers.c.id))}
