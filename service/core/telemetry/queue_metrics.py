"""Gauges of the queue for Prometheus: the counts of service.core.sql.queue_stats, read at each scrape.

A scrape waits at most PATIENCE seconds for the database; without an answer it has only `rightfit_database_up` 0.
"""

import logging
import threading
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as Late
from typing import Any

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from service.core.errors import DatabaseError
from service.core.records.job import Status
from service.core.sql.queue_stats import HEAD, Counts, QueueStats
from service.core.system.resilience import CircuitBreaker, attempt

PATIENCE = 2.0  # seconds; Prometheus itself gives up after 10
BREAKER_SECONDS = 5.0  # without a query after a failure
FRESH_SECONDS = 60.0  # how old the count of ended jobs may be
SHARE = 0.01  # the largest share of the time spent on counting them

log = logging.getLogger(__name__)


class QueueMetrics(Collector):
    """Gauges read from the database at scrape time, and whether the database answers."""

    def __init__(self, stats: QueueStats) -> None:
        self._stats = stats
        self._asking = ThreadPoolExecutor(1, "queue-stats")
        self._pending: Future[Counts] | None = None
        self._breaker = CircuitBreaker(BREAKER_SECONDS)
        self._lock = threading.Lock()
        self._ended: Mapping[Status, int] = {}
        self._due = float("-inf")

    def collect(self) -> Iterable[Metric]:
        counts = self._take()
        up = "Whether the database answers; without it there are no counts"
        yield GaugeMetricFamily("rightfit_database_up", up, int(counts is not None))
        if counts is None:
            return
        self._count_ended_when_due()
        yield _family("rightfit_queue_jobs", "Queued jobs", "priority", counts.queued)
        longest = "How long the job that waits longest has been queued, 0 if none waits"
        yield _family("rightfit_queue_oldest_wait_seconds", longest, "priority", counts.waits)
        unheld = f"Of the first {HEAD} queued jobs, those that no live worker can hold"
        yield GaugeMetricFamily("rightfit_queue_unheld_jobs", unheld, counts.unheld)
        by_status = {**counts.jobs, **self._ended}
        yield _family(
            "rightfit_jobs", "Jobs that are kept, by status; ended ones as of the last minute", "status", by_status
        )
        lapsed = "Running jobs whose lease has expired and that no reaper has taken back yet"
        yield GaugeMetricFamily("rightfit_leases_lapsed", lapsed, counts.lapsed)
        yield GaugeMetricFamily("rightfit_workers", "Workers seen lately", counts.workers)
        yield GaugeMetricFamily("rightfit_workers_idle", "Those that hold no job", counts.workers - counts.busy)
        yield _family("rightfit_datasets", "Data sets that were sent, by status", "status", counts.datasets)

    def describe(self) -> Iterable[Metric]:
        """Nothing, so that registration does not query the database."""
        return ()

    def _take(self) -> Counts | None:
        """The counts, None without an answer in time. All concurrent scrapes share one query."""
        if self._breaker.is_open:
            return None
        with self._lock:
            pending = self._pending = self._pending or self._asking.submit(self._stats.take)
        try:
            return pending.result(PATIENCE)
        except (Late, DatabaseError) as error:
            self._breaker.record_failure()
            log.warning("no counts from the database: %s", error or "it does not answer")
            return None
        finally:
            with self._lock:
                if pending.done() and self._pending is pending:
                    self._pending = None

    def _count_ended_when_due(self) -> None:
        """Count ended jobs in a thread: the query grows with the history, and no scrape waits for it."""
        with self._lock:
            if time.monotonic() < self._due:
                return
            self._due = float("inf")
        threading.Thread(target=self._count_ended, name="ended", daemon=True).start()

    def _count_ended(self) -> None:
        began = time.monotonic()
        attempt(self._note_ended, "count the jobs that have ended")
        ended = time.monotonic()
        self._due = ended + max(FRESH_SECONDS, (ended - began) / SHARE)

    def _note_ended(self) -> None:
        self._ended = self._stats.ended()


def _family(name: str, meaning: str, label: str, values: Mapping[Any, float]) -> Metric:
    family = GaugeMetricFamily(name, meaning, labels=[label])
    for which, value in values.items():
        family.add_metric([str(which)], value)
    return family
