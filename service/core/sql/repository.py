"""What the classes of this room have in common."""

from collections.abc import Callable

from service.core.records.quotas import UNLIMITED, Quotas
from service.core.sql.engine import Database


class Repository:
    """SQL statements over one database.

    `on_change` is called with the id of each job that a commit has changed, after that commit. `quotas` limit what a
    tenant may have.
    """

    def __init__(
        self,
        database: Database,
        on_change: Callable[[str], None] = lambda channel: None,
        quotas: Quotas = UNLIMITED,
    ) -> None:
        self._db = database
        self._on_change = on_change
        self._quotas = quotas
