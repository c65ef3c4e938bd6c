"""The order in which data sets are read: tenants take turns, however many sets one of them has uploaded."""

import threading

from sqlalchemy import ColumnElement, Connection, and_, case, func, select

from service.core.records.dataset import DatasetStatus
from service.core.sql.clock import now
from service.core.sql.tables import datasets

MOST_TENANTS = 200  # that a process remembers


class ReadingTurns:
    """The tenants that this process has served, the latest last."""

    def __init__(self) -> None:
        self._served: dict[str, None] = {}
        self._lock = threading.Lock()

    def taken(self, tenant: str) -> None:
        """It was this tenant's turn."""
        with self._lock:
            self._served.pop(tenant, None)
            self._served[tenant] = None
            if len(self._served) > MOST_TENANTS:
                del self._served[next(iter(self._served))]

    def order(self, c: Connection) -> list[ColumnElement[int]]:
        """First the tenants of which the fewest sets are being read by any worker, then those served longest ago."""
        is_read = and_(
            datasets.c.status == DatasetStatus.PROCESSING,
            datasets.c.worker.is_not(None),
            datasets.c.lease_until > now(),
        )
        counted = select(datasets.c.tenant, func.count().label("sets")).where(is_read).group_by(datasets.c.tenant)
        busy = {row.tenant: row.sets for row in c.execute(counted)}
        with self._lock:
            places = {tenant: place for place, tenant in enumerate(self._served)}
        ranks = ((busy, 0), (places, -1))
        return [case(by_tenant, value=datasets.c.tenant, else_=other) for by_tenant, other in ranks if by_tenant]
