"""The Prometheus metrics of a worker."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from service.core.records.epoch import Epoch
from service.core.telemetry.metrics import ProcessMetrics, new_registry

PUT_BACK, LEASE_LOST, LOST = "put_back", "lease_lost", "lost"  # ends of an attempt that do not end the job
OUTCOMES = ("succeeded", "failed", "cancelled", PUT_BACK, LEASE_LOST, LOST)
EPOCH_SECONDS = (0.01, 0.05, 0.25, 1.0, 5.0, 15.0, 60.0, 300.0, 1800.0)  # from toys to ImageNet
CHECKPOINT_SECONDS = (0.01, 0.05, 0.25, 1.0, 5.0, 15.0, 60.0, 300.0)
ENDED = (
    "How attempts ended: as the job did; put_back (or paused) with its progress; lost, to be tried again; "
    "lease_lost, it belongs to another worker by now"
)


class WorkerMetrics:
    """To be made once in a worker's process. Safe for use from several threads."""

    def __init__(self) -> None:
        self.registry: CollectorRegistry = new_registry()
        self.common = ProcessMetrics(self.registry)
        self.busy = self._gauge("busy", "Jobs that this worker holds")
        self.taken = self._counter("jobs_taken", "Jobs that were claimed")
        name, labels = "rightfit_worker_attempts_ended_total", ["outcome"]
        self.ended = Counter(name, ENDED, labels, registry=self.registry)
        for outcome in OUTCOMES:
            self.ended.labels(outcome)
        self.renewals = self._counter("lease_renewals", "Leases that were renewed")
        self.missed_renewals = self._counter("lease_renewals_missed", "Renewals for which the database was away")
        self.steps = self._counter("steps", "Batches trained")
        self.epoch_seconds = self._histogram(
            "epoch_seconds", "Duration of an epoch, training and validation", EPOCH_SECONDS
        )
        speed = "Training images a second in the last epochs of the jobs that are held, 0 idle"
        self.images_per_second = self._gauge("images_per_second", speed)
        self.checkpoint_seconds = self._histogram(
            "checkpoint_seconds", "Storing a checkpoint, from its files on", CHECKPOINT_SECONDS
        )
        self.checkpoint_bytes = self._counter("checkpoint_bytes", "Bytes of checkpoints that were stored")
        self.checkpoints_missed = self._counter("checkpoints_missed", "Checkpoints that could not be stored")

    def begin(self) -> None:
        """A job was claimed."""
        self.taken.inc()
        self.busy.inc()

    def end(self) -> None:
        """A job is not held any more."""
        self.busy.dec()

    def epoch(self, epoch: Epoch) -> None:
        self.epoch_seconds.observe(epoch.seconds)

    def _counter(self, name: str, meaning: str) -> Counter:
        return Counter(f"rightfit_worker_{name}_total", meaning, registry=self.registry)

    def _gauge(self, name: str, meaning: str) -> Gauge:
        return Gauge(f"rightfit_worker_{name}", meaning, registry=self.registry)

    def _histogram(self, name: str, meaning: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(f"rightfit_worker_{name}", meaning, registry=self.registry, buckets=buckets)
