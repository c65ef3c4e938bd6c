"""The record of jobs, divided by whom it serves."""

from collections.abc import Callable

from service.core.records.quotas import UNLIMITED, Quotas
from service.core.sql.engine import Database
from service.core.sql.jobs.hints import JobHints
from service.core.sql.jobs.leases import JobLeases
from service.core.sql.jobs.owner_actions import OwnerActions
from service.core.sql.jobs.queries import JobQueries


class Store:
    """`actions` serves the owners of jobs, `queries` their readers, `leases` the workers,
    `hints` those who tell the workers of queued jobs.
    """

    def __init__(
        self,
        database: Database,
        on_change: Callable[[str], None] = lambda job_id: None,
        quotas: Quotas = UNLIMITED,
    ) -> None:
        self.actions = OwnerActions(database, on_change, quotas)
        self.queries = JobQueries(database)
        self.leases = JobLeases(database, on_change, quotas)
        self.hints = JobHints(database, on_change, quotas)
