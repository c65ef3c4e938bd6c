"""What every process exposes to Prometheus: its version, its disk, storage errors, attempts that were lost."""

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
    """Where the metrics of one process are kept; without the times at which each of them began."""
    disable_created_metrics()  # type: ignore[no-untyped-call]  # prometheus-client
    return CollectorRegistry()


class ProcessMetrics:
    """Counters of a process, made once in it; `registry` holds them."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._storage_errors = Counter(
            "rightfit_storage_errors_total", "Operations on the storage that failed", ["operation"], registry=registry
        )
        self._lost = Counter(
            "rightfit_jobs_lost_total",
            "Attempts lost to the infrastructure, by who found out: the reaper (the lease had run out) or the "
            "supervisor (its trainer had failed)",
            ["finder"], registry=registry,
        )  # fmt: skip
        for operation in OPERATIONS:  # a rate needs a first sample to grow from
            self._storage_errors.labels(operation)
        for finder in (REAPER, SUPERVISOR):
            self._lost.labels(finder)

    def watched(self, storage: Storage) -> Storage:
        """The storage, its failures counted."""
        return MonitoredStorage(storage, lambda operation: self._storage_errors.labels(operation).inc())

    def lost(self, finder: str, jobs: int = 1) -> None:
        """So many attempts were lost, as REAPER or SUPERVISOR found out."""
        self._lost.labels(finder).inc(jobs)


class HostMetrics(Collector):
    """Looked up at each scrape: the release, and the disk that RIGHTFIT_HOME is on."""

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
    """The version of this package as it is installed."""
    try:
        return version("rightfit")
    except PackageNotFoundError:
        return "unknown"
