"""The registry of live workers."""

import time

from service.core.sql.engine import Database
from service.core.sql.worker_registry import WorkerRegistry


def test_workers_that_are_gone_are_not_live(database: Database) -> None:
    registry = WorkerRegistry(database)
    registry.heartbeat("one", 60)
    registry.heartbeat("two", 60)
    assert set(registry.live_workers(60)) == {"one", "two"}
    registry.deregister("one")
    assert set(registry.live_workers(60)) == {"two"}
    time.sleep(0.05)
    assert registry.live_workers(0.01) == {}
