"""Counts and traces the attempts of a supervisor, and adds the job's id to the lines of the log."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import structlog

from service.core.records.epoch import Epoch
from service.core.records.job import Phase, Status
from service.core.records.lease import Lease
from service.core.telemetry.correlation import trace_id
from service.core.telemetry.metrics import SUPERVISOR
from service.core.telemetry.tracing import CONSUMER, Span, Tracing, Value
from workers.telemetry.metrics import LEASE_LOST, LOST, WorkerMetrics


class AttemptObserver:
    """One attempt at a job. Its span has a child for each phase, for each checkpoint and for publishing.

    An epoch is an event of the training phase's span, since there may be very many of them.
    """

    def __init__(self, metrics: WorkerMetrics, span: Span) -> None:
        self._metrics, self._span = metrics, span
        self._phase: Span | None = None
        self._steps = 0
        self._images_per_second = 0

    def enter(self, phase: Phase) -> None:
        """End the span of the phase before, and begin one."""
        self.leave()
        self._phase = self._span.child(str(phase))

    def leave(self) -> None:
        """End the span of the phase, if there is one."""
        if self._phase:
            self._phase.end()
            self._phase = None

    def stepped(self, steps: int) -> None:
        """`steps` is the number of batches trained in this attempt so far."""
        self._metrics.steps.inc(steps - self._steps)
        self._steps = steps

    def completed(self, epochs: Sequence[Epoch]) -> None:
        for epoch in epochs:
            self._metrics.epoch(epoch)
            self.set_speed(round(epoch.images_per_second))
            if self._phase:
                self._phase.note("epoch", _attributes(epoch))

    def set_speed(self, images_per_second: int) -> None:
        """What this attempt adds to the speed of its worker: a whole number, so that nothing is left in the end."""
        self._metrics.images_per_second.inc(images_per_second - self._images_per_second)
        self._images_per_second = images_per_second

    @contextmanager
    def checkpoint(self) -> Iterator[Span]:
        """Time the block that stores a checkpoint; if it raises, the checkpoint counts as missed."""
        began = time.monotonic()
        try:
            with self._span.part("checkpoint") as span:
                yield span
        except Exception:
            self._metrics.checkpoints_missed.inc()
            raise
        self._metrics.checkpoint_seconds.observe(time.monotonic() - began)

    def stored(self, size: int) -> None:
        """Count the bytes of a checkpoint."""
        self._metrics.checkpoint_bytes.inc(size)

    @contextmanager
    def publishing(self) -> Iterator[Span]:
        self.leave()
        with self._span.part("publish") as span:
            yield span

    def failed_by_infrastructure(self) -> None:
        """Count an attempt that the infrastructure failed, whether the job is tried again or not."""
        self._metrics.common.lost(SUPERVISOR)

    def ended(self, outcome: str) -> None:
        """Count the end of the attempt; `outcome` is one of workers.telemetry.metrics.OUTCOMES."""
        self._metrics.ended.labels(outcome).inc()
        self._span.set({"rightfit.outcome": outcome})
        if outcome in (Status.FAILED, LOST, LEASE_LOST):
            self._span.fail(outcome)


class Observer:
    """Observes the attempts of one worker."""

    def __init__(self, metrics: WorkerMetrics | None = None, tracing: Tracing | None = None) -> None:
        self.metrics = metrics or WorkerMetrics()
        self._tracing = tracing or Tracing("rightfit-worker", {})

    @contextmanager
    def observe(self, lease: Lease) -> Iterator[AttemptObserver]:
        """Observe an attempt within the block, in the trace of the request that submitted the job."""
        attributes: dict[str, Value] = {"rightfit.job_id": lease.job_id, "rightfit.attempt": lease.attempt}
        span = self._tracing.start("attempt", lease.traceparent, CONSUMER, attributes)
        trace = trace_id(span.traceparent)
        bound = {"job_id": lease.job_id, "attempt": lease.attempt} | ({"trace_id": trace} if trace else {})
        attempt = AttemptObserver(self.metrics, span)
        with structlog.contextvars.bound_contextvars(**bound):
            self.metrics.begin()
            try:
                yield attempt
            finally:
                attempt.set_speed(0)
                self.metrics.end()
                attempt.leave()
                span.end()


def _attributes(epoch: Epoch) -> dict[str, Value]:
    """The attributes of an epoch's event; losses that are not finite are left out."""
    attributes: dict[str, Value | None] = {
        "rightfit.epoch": epoch.epoch,
        "rightfit.seconds": epoch.seconds,
        "rightfit.train_loss": epoch.train_loss,
        "rightfit.val_loss": epoch.val_loss,
    }
    return {name: value for name, value in attributes.items() if value is not None}
