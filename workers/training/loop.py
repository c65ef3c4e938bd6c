"""The training loop: visible code, read from top to bottom."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from service.core.records.position import Position
from service.core.spec import DEFAULT_MONITOR, JobSpec
from service.core.spec.models import is_frozen
from workers.training.checkpoint import Weights
from workers.training.data.batches import Batches
from workers.training.evaluate import train_mode
from workers.training.features import may_keep_features, scoring_features, training_features
from workers.training.group import SINGLE_PROCESS, Group
from workers.training.measuring import Measuring
from workers.training.models.classifier import set_frozen
from workers.training.precision import Precision
from workers.training.schedule import lr_share
from workers.training.state import Candidate, EpochResult, Snapshot, State
from workers.training.step import Step

CHECKPOINT_SECONDS = 10.0  # default seconds between checkpoints; bounds the work repeated after a crash
CHECKPOINT_COST = 20  # least training time between two checkpoints, as a multiple of the time to write one


@dataclass(frozen=True)
class TrainingData:
    """The images of a run. `clean` is the training subset that is scored as validation is.

    `digest` identifies the data, so that no run is resumed on other data.
    """

    train: Batches
    validation: Batches
    clean: Batches | None
    digest: str = ""

    def as_features(self, model: nn.Module, spec: JobSpec, should_stop: Callable[[], object]) -> "TrainingData":
        """The same images as the inputs of the model's last layer. The images themselves if the run is to stop."""
        train = training_features(model, self.train, spec, should_stop)
        validation = scoring_features(model, self.validation, spec, should_stop)
        clean = scoring_features(model, self.clean, spec, should_stop) if self.clean else None
        if train is None or validation is None or (self.clean and clean is None):
            return self
        return TrainingData(train, validation, clean, self.digest)


@dataclass(frozen=True)
class TrainingResult:
    """How a run ended: why, after how many epochs, and the best epoch with its weights (None if none was finite).

    `best_logits` float32 [validation images, classes], on the device, are those of the best epoch; None if the run was
    resumed after it, because checkpoints do not hold them. `candidates` are the epochs to average, the best first (see
    `average_best`). `precision` is that of the training steps.
    """

    stop_reason: str
    history: list[EpochResult]
    best_epoch: int | None
    best_weights: Weights | None
    best_logits: Tensor | None
    candidates: Sequence[Candidate]
    precision: Precision

    @property
    def epochs(self) -> int:
        """The number of complete epochs."""
        return len(self.history)


def fit(
    model: nn.Module,
    data: TrainingData,
    spec: JobSpec,
    on_epoch: Callable[[EpochResult], None] = lambda result: None,
    should_stop: Callable[[], str | None] = lambda: None,
    on_checkpoint: Callable[[Snapshot], None] = lambda snapshot: None,
    resume_from: Snapshot | None = None,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    joules: Callable[[], float | None] = lambda: None,
    group: Group = SINGLE_PROCESS,
    on_position: Callable[[Position], None] = lambda position: None,
) -> TrainingResult:
    """Train `model` in place until early stopping, the last epoch, `max_seconds` or `should_stop` ends the run.

    `should_stop` is called before every batch. If it returns a stop reason, the run ends at once. `max_seconds` ends it
    the same way, after at least one complete epoch. An unfinished epoch is not reported. An epoch with a non-finite
    loss is never the best one. A non-finite training loss ends the run as `diverged`.

    `on_checkpoint` gets a snapshot between two batches when `checkpoint_seconds` have passed since the last one (longer
    if writing is slow; 0: before every batch), and at the end. It must write the snapshot before it returns. With
    `resume_from`, the run continues from that snapshot. Its result is that of an uninterrupted run, bit for bit on a
    CPU. A run that had ended ends again at once. Raises CheckpointMismatch if the snapshot has another spec or other
    data. `joules` reads the device's energy meter; None if there is no meter. `on_position` is called before every
    batch, and before the validation of an epoch. It must return at once.

    Several processes train one model together if each calls this with its own `group`. All have the same result. It is
    that of a single process up to rounding, but dropout draws from other random streams. The first process decides:
    only its `should_stop`, its clock and its callbacks are used.
    """
    if not group.leads:
        on_epoch = on_checkpoint = on_position = _ignore
    state = _initial_state(model, data, spec, group, resume_from)
    phase = _phase(state, data, should_stop)
    checkpoints = _Checkpoints(on_checkpoint, checkpoint_seconds, data.digest)

    def end(reason: str) -> TrainingResult:
        checkpoints.write(state)
        return TrainingResult(
            reason,
            state.history,
            state.stopper.state.best_epoch,
            state.best,
            state.best_logits,
            state.candidates,
            phase.step.precision,
        )

    while state.epoch <= spec.epochs:
        if reason := _stop_reason(state):
            return end(reason)
        if phase.is_frozen != is_frozen(spec.model, state.epoch):
            phase = _phase(state, data, should_stop)
        if state.step == 0:
            state.epoch_started = time.monotonic()
        joules_before = joules()
        train_mode(model)
        if reason := _train_epoch(state, phase, should_stop, checkpoints, on_position):
            return end(reason)
        on_position(_position(state))
        measures, score = phase.measure(len(data.train))
        monitored = _monitored(state.stopper.monitor, measures)
        improved = state.stopper.update(state.epoch, monitored)
        state.plateau.update(spec.schedule, _monitored(spec.schedule.plateau_monitor or DEFAULT_MONITOR, measures))
        if improved:
            state.keep_best(score)
        state.keep_candidate(monitored, is_best=improved)
        spent = _joules_spent(joules_before, joules(), group)
        result = _epoch_result(state, measures, improved, len(data.train), spent)
        state.close_epoch(result)
        on_epoch(result)
    return end(_stop_reason(state) or "max_epochs")


def _train_epoch(
    state: State,
    phase: "_Phase",
    should_stop: Callable[[], str | None],
    checkpoints: "_Checkpoints",
    on_position: Callable[[Position], None],
) -> str | None:
    """Train on the remaining batches of the epoch. Returns a reason to stop early, None if the epoch is complete."""
    spec = state.spec
    for pixels, labels in phase.train.shuffled(spec.batch_size, state.order, state.step, spec.regularization.sampling):
        reason, is_due = state.group.agree((should_stop() or _out_of_time(state), checkpoints.is_due()))
        if reason:
            return reason
        if is_due:
            checkpoints.write(state)
        on_position(_position(state))
        state.record(phase.step(pixels, labels, _learning_rate(state)))
    return None


def _position(state: State) -> Position:
    return Position(state.epoch, state.step, state.steps)


def _learning_rate(state: State) -> float:
    """The learning rate of the next step."""
    spec, steps = state.spec, state.steps
    share = lr_share(spec.schedule, (state.epoch - 1) * steps + state.step, steps, spec.epochs)
    return spec.optimizer.lr * share * state.plateau.share


def _epoch_result(
    state: State, measures: Mapping[str, Any], improved: bool, images: int, joules: float | None
) -> EpochResult:
    """The epoch that ends now, of `images` training images."""
    seconds = time.monotonic() - state.epoch_started
    return EpochResult(
        epoch=state.epoch,
        **measures,
        lr=state.optimizer.param_groups[0]["lr"],
        seconds=seconds,
        images_per_second=images / seconds,
        improved=improved,
        epochs_without_improvement=state.stopper.state.epochs_without_improvement,
        joules=joules,
    )


def _monitored(monitor: str, measures: Mapping[str, float | None]) -> float:
    """The measure to choose by; nan if it is unknown or a loss is not finite."""
    value, losses = measures[monitor], (measures["train_loss"], measures["val_loss"])
    is_finite = all(loss is not None and math.isfinite(loss) for loss in losses)
    return value if value is not None and is_finite else math.nan


@dataclass(frozen=True)
class _Phase:
    """What trains and measures as long as the same layers are frozen."""

    is_frozen: bool
    train: Batches
    step: Step
    measure: Measuring


def _phase(state: State, data: TrainingData, should_stop: Callable[[], object]) -> _Phase:
    """The phase of the present epoch: freezes the layers that it does not train, and keeps their outputs if it can."""
    spec, model = state.spec, state.model
    frozen = is_frozen(spec.model, state.epoch)
    set_frozen(model, frozen=frozen)
    if may_keep_features(spec, model, state.epoch):
        data = data.as_features(model, spec, should_stop)
    step = Step(state, data.train, state.group)
    return _Phase(frozen, data.train, step, Measuring(state, step, data.validation, data.clean))


class _Checkpoints:
    """Writes snapshots every `seconds`, less often if writing is slow; 0: before every batch."""

    def __init__(self, write: Callable[[Snapshot], None], seconds: float, digest: str) -> None:
        self._write, self._seconds, self._digest = write, seconds, digest
        self._due = time.monotonic() + seconds

    def is_due(self) -> bool:
        return time.monotonic() >= self._due

    def write(self, state: State) -> None:
        """Take and write a snapshot. Every process of a group must call this at the same batch."""
        started = time.monotonic()
        self._write(state.snapshot(self._digest))
        now = time.monotonic()
        self._due = now + max(self._seconds, CHECKPOINT_COST * (now - started)) if self._seconds else now


def _initial_state(
    model: nn.Module, data: TrainingData, spec: JobSpec, group: Group, resume_from: Snapshot | None
) -> State:
    """The state of a new run, or of the snapshot. Raises CheckpointMismatch for another spec or data."""
    state = State.fresh(spec, model, data.train.steps(spec.batch_size), data.train.device, group)
    if resume_from is not None:
        state.restore(resume_from, data.digest)
    return state


def _ignore(_: object) -> None:
    """The callback of a process that does not lead its group."""


def _joules_spent(before: float | None, after: float | None, group: Group) -> float | None:
    """Joules of all devices between two readings; None if a device has no meter."""
    spent = group.gather(None if before is None or after is None else after - before)
    return None if None in spent else sum(joules for joules in spent if joules is not None)


def _stop_reason(state: State) -> str | None:
    """Why the run must end after its last epoch; None if it continues."""
    if state.history and not math.isfinite(state.history[-1].train_loss):
        return "diverged"
    return state.stopper.state.stopped


def _out_of_time(state: State) -> str | None:
    """`max_seconds` if the time limit has passed and an epoch is complete, else None."""
    limit = state.spec.max_seconds
    is_over = limit is not None and time.monotonic() - state.started >= limit
    return "max_seconds" if is_over and state.history else None
