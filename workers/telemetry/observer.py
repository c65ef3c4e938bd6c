"""What a supervisor tells of its attempts is counted, traced, and bound to the lines of the log."""

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


class Attempt:
    """One attempt at a job as it goes on. Its span has one part for each phase, for each checkpoint and for publishing;
    an epoch is a note on the span of the training, since there may be very many of them.
    """

    def __init__(self, meters: WorkerMetrics, span: Span) -> None:
        self._meters, self._span = meters, span
        self._phase: Span | None = None
        self._steps = 0

    def enter(self, phase: Phase) -> None:
        """What came before is over."""
        self.leave()
        self._phase = self._span.child(str(phase))

    def leave(self) -> None:
        """The trainer has ended."""
        if self._phase:
            self._phase.end()
            self._phase = None

    def stepped(self, steps: int) -> None:
        """So many batches were trained by now, in all."""
        self._meters.steps.inc(steps - self._steps)
        self._steps = steps

    def completed(self, measured: Sequence[Epoch]) -> None:
        for epoch in measured:
            self._meters.epoch(epoch)
            if self._phase:
                told = {
                    "rightfit.epoch": epoch.epoch, "rightfit.seconds": epoch.seconds,
                    "rightfit.train_loss": epoch.train_loss, "rightfit.val_loss": epoch.val_loss,
                }  # fmt: skip
                self._phase.note("epoch", {name: value for name, value in told.items() if value is not None})

    @contextmanager
    def checkpoint(self) -> Iterator[Span]:
        """Timed within the block, and missed where it raises."""
        began = time.monotonic()
        try:
            with self._span.part("checkpoint") as span:
                yield span
        except Exception:
            self._meters.checkpoints_missed.inc()
            raise
        self._meters.checkpoint_seconds.observe(time.monotonic() - began)

    def stored(self, size: int) -> None:
        """A checkpoint of so many bytes."""
        self._meters.checkpoint_bytes.inc(size)

    @contextmanager
    def publishing(self) -> Iterator[Span]:
        self.leave()
        with self._span.part("publish") as span:
            yield span

    def failed_us(self) -> None:
        """It was lost to the infrastructure, whatever becomes of the job."""
        self._meters.common.lost(SUPERVISOR)

    def became(self, outcome: str) -> None:
        """How it ended, as workers.telemetry.metrics names it."""
        self._meters.ended.labels(outcome).inc()
        self._span.set({"rightfit.outcome": outcome})
        if outcome in (Status.FAILED, LOST, LEASE_LOST):
            self._span.fail(outcome)


class Observer:
    """That of one worker, which holds one job at a time."""

    def __init__(self, meters: WorkerMetrics | None = None, tracing: Tracing | None = None) -> None:
        self.meters = meters or WorkerMetrics()
        self._tracing = tracing or Tracing("rightfit-worker", {})

    @contextmanager
    def watching(self, lease: Lease) -> Iterator[Attempt]:
        """An attempt lasts as long as the block. It belongs to the trace of the request that the job came with."""
        about: dict[str, Value] = {"rightfit.job_id": lease.job_id, "rightfit.attempt": lease.attempt}
        span = self._tracing.start("attempt", lease.traceparent, CONSUMER, about)
        trace = trace_id(span.traceparent)
        bound = {"job_id": lease.job_id, "attempt": lease.attempt} | ({"trace_id": trace} if trace else {})
        attempt = Attempt(self.meters, span)
        with structlog.contextvars.bound_contextvars(**bound):
            self.meters.begin()
            try:
                yield attempt
            finally:
                self.meters.end()
                attempt.leave()
                span.end()
