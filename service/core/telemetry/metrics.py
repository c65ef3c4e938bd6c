"""Metrics of every process: its version, its disk, storage errors and lost attempts."""

import shutil
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, disable_created_metrics
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from service.core.storage import MonitoredStorage, Storage

OPERATIONS = ("put", "get", "open", "delete", "list", "check")
REAPER, SUPERVISOR = "reaper", "supervisor"


def new_registry() -> CollectorRegistry:
    """A registry for the metrics of one process, without `_created` series."""
    disable_created_metrics()  # type: ignore[no-untyped-call]  # prometheus-client
    return CollectorRegistry()


class ProcessMetrics:
    """Counters of one process, registered in `registry`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._storage_errors = Counter(
            "rightfit_storage_errors_total", "Operations on the storage that failed", ["operation"], registry=registry
        )
        by_finder = (
            "Attempts lost to the infrastructure, by who found out: the reaper (the lease had run out) or the "
            "supervisor (its trainer had failed)"
        )
        self._lost = Counter("rightfit_jobs_lost_total", by_finder, ["finder"], registry=registry)
        for operation in OPERATIONS:  # a rate needs a first sample to grow from
            self._storage_errors.labels(operation)
        for finder in (REAPER, SUPERVISOR):
            self._lost.labels(finder)

    def watched(self, storage: Storage) -> Storage:
        """Wrap a storage so that its failures are counted."""
        return MonitoredStorage(storage, lambda operation: self._storage_errors.labels(operation).inc())

    def lost(self, finder: str, jobs: int = 1) -> None:
        """Count lost attempts, found by REAPER or SUPERVISOR."""
        self._lost.labels(finder).inc(jobs)


class HostMetrics(Collector):
    """Read at each scrape: the version, and the disk that holds RIGHTFIT_HOME."""

    def __init__(self, home: Path) -> None:
        self._home = home

    def collect(self) -> Iterable[Metric]:
        info = GaugeMetricFamily("rightfit_build_info", "Always 1; the version of this process", labels=["version"])
        info.add_metric([release()], 1)
        yield info
        folder = next((path for path in (self._home, *self._home.parents) if path.exists()), None)
        if folder:
            disk = shutil.disk_usage(folder)
            yield GaugeMetricFamily("rightfit_disk_free_bytes", "Free on the disk of RIGHTFIT_HOME", disk.free)
            yield GaugeMetricFamily("rightfit_disk_size_bytes", "Size of the disk of RIGHTFIT_HOME", disk.total)


def release() -> str:
    """The version of the installed package."""
    try:
        return version("rightfit")
    except PackageNotFoundError:
        return "unknown"
