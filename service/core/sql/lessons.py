"""The statements about what fits have shown, by tenant."""

from sqlalchemy import Connection, delete, insert, select

from service.core.records.lessons import Lessons
from service.core.records.members import known_members
from service.core.sql.clock import now
from service.core.sql.repository import Repository
from service.core.sql.tables import fit_lessons

MOST = 20  # newest fits that are learned from: older ones may be of another time


def record_lessons(c: Connection, tenant: str, fit_id: str, lessons: Lessons) -> None:
    """Store what a fit has shown, at its end."""
    c.execute(insert(fit_lessons).values(fit_id=fit_id, tenant=tenant, at=now(), data=lessons.to_dict()))


class FitLessons(Repository):
    """What the fits of a tenant have shown. It goes with its fit, or when the tenant clears it."""

    def newest(self, tenant: str) -> tuple[Lessons, ...]:
        """Those of the newest ended fits, at most MOST, the newest first."""
        query = select(fit_lessons.c.data).where(fit_lessons.c.tenant == tenant)
        with self._db.read() as c:
            rows = c.execute(query.order_by(fit_lessons.c.at.desc(), fit_lessons.c.fit_id).limit(MOST)).scalars().all()
        return tuple(Lessons(**known_members(Lessons, data)) for data in rows)

    def clear(self, tenant: str) -> None:
        """Forget them; the fits stay."""
        with self._db.write() as c:
            c.execute(delete(fit_lessons).where(fit_lessons.c.tenant == tenant))
