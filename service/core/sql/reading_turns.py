"""The order in which data sets are read: tenants take turns, however many sets one of them has uploaded."""

import threading

from sqlalchemy import ColumnElement, case, func, select

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

    def order(self) -> list[ColumnElement[int]]:
        """First the tenants of which the fewest sets are being read by any worker, then those served longest ago."""
        other = datasets.alias("other")
        is_read = (other.c.tenant == datasets.c.tenant, other.c.worker.is_not(None), other.c.lease_until > now())
        busy = select(func.count()).select_from(other).where(*is_read).correlate(datasets).scalar_subquery()
        with self._lock:
            places = {tenant: place for place, tenant in enumerate(self._served)}
        return [busy, case(places, value=datasets.c.tenant, else_=-1)] if places else [busy]
