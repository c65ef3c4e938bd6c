"""The training loop: visible code, read from top to bottom."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from service.core.spec import JobSpec
from workers.training.checkpoint import Weights
from workers.training.data.batches import Batches
from workers.training.evaluate import score_each, scoring_batch, standard_error, train_mode
from workers.training.group import SINGLE_PROCESS, Group
from workers.training.precision import Precision
from workers.training.schedule import lr_share
from workers.training.state import EpochResult, Snapshot, State
from workers.training.step import Step

CHECKPOINT_SECONDS = 10.0  # between two snapshots, where they are cheap: what a lost worker's successor does again
CHECKPOINT_COST = 20  # times as long as it took to write one is trained before the next


@dataclass(frozen=True)
class TrainingData:
    """What a run trains on and is scored on. `clean` is the training subset that is scored as validation is.

    `digest` names the data, so that no run is resumed on other data.
    """

    train: Batches
    validation: Batches
    clean: Batches | None
    digest: str = ""


@dataclass(frozen=True)
class TrainingResult:
    """How a run ended: why, after how many epochs, and the best epoch with its weights (None if none was finite).

    `precision` is that of the training steps.
    """

    stop_reason: str
    history: list[EpochResult]
    best_epoch: int | None
    best_weights: Weights | None
    precision: Precision

    @property
    def epochs(self) -> int:
        """How many were completed."""
        return len(self.history)


def fit(
    model: nn.Module,
    data: TrainingData,
    spec: JobSpec,
    on_epoch: Callable[[EpochResult], None] = lambda result: None,
    on_best: Callable[[Weights], None] = lambda weights: None,
    should_stop: Callable[[], str | None] = lambda: None,
    on_checkpoint: Callable[[Snapshot], None] = lambda snapshot: None,
    resume_from: Snapshot | None = None,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    joules: Callable[[], float | None] = lambda: None,
    group: Group = SINGLE_PROCESS,
) -> TrainingResult:
    """Train `model` in place until early stopping, the epochs, the time or `should_stop` end it.

    `should_stop` is asked before every batch and names a stop reason to end at once, as `max_seconds` does once the
    first epoch is complete: an unfinished epoch is not reported. `on_best` gets a copy of the weights after each
    improvement, before `on_epoch` tells of it. An epoch with a non-finite loss is never the best one, and a
    non-finite training loss ends the run as `diverged`.

    `on_checkpoint` gets a snapshot between two batches whenever `checkpoint_seconds` have passed since the last one
    (more where writing takes long; 0: before every batch), and at the end; it must write it before it returns. A run
    that is given one as `resume_from` goes on from there and comes to the same result as if it had never been
    interrupted, bit for bit on a CPU; one that had ended ends at once. Raises CheckpointMismatch where it is of another
    spec or other data. `joules` reads the device's energy meter, None where it has none.

    Several processes that call this alike, each with its own part of one `group`, train one model together and come to
    the same result each, up to rounding that of one process alone (dropout draws from other streams). The first one
    decides for all of them: only its `should_stop` is asked, its time counts, and its callbacks are called.
    """
    if not group.leads:
        on_epoch = on_best = on_checkpoint = _unheard
    train, steps = data.train, data.train.steps(spec.batch_size)
    state = _begun(model, data, spec, group, resume_from)
    step, scoring = Step(state, train, group), scoring_batch(data.validation, spec.batch_size)
    checkpoint_due = time.monotonic() + checkpoint_seconds

    def ended(reason: str) -> TrainingResult:
        on_checkpoint(state.snapshot(data.digest))
        return TrainingResult(reason, state.history, state.stopper.state.best_epoch, state.best, step.precision)

    while state.epoch <= spec.epochs:
        if reason := _stop_reason(state):
            return ended(reason)
        if state.step == 0:
            state.epoch_started = time.monotonic()
        joules_before = joules()

        train_mode(model)
        for pixels, labels in train.shuffled(spec.batch_size, state.order, skip=state.step):
            now = time.monotonic()
            reason, is_due = group.agree((should_stop() or _out_of_time(state), now >= checkpoint_due))
            if reason:
                return ended(reason)
            if is_due:
                on_checkpoint(state.snapshot(data.digest))
                checkpoint_due = _next_checkpoint(now, checkpoint_seconds)
            share = lr_share(spec.schedule, (state.epoch - 1) * steps + state.step, steps, spec.epochs)
            lr = spec.optimizer.lr * share * state.plateau.share
            state.losses[state.step], state.hits[state.step] = step(pixels, labels, lr)
            state.step += 1

        losses, hits = score_each(state.scored, data.validation, scoring, group)
        clean = score_each(state.scored, data.clean, scoring, group)[0] if data.clean else losses
        change = losses - state.best_losses if state.best_losses is not None else losses
        trained = group.add_(torch.stack([state.losses.sum(), state.hits.sum()]))
        scored = [step.penalty(), losses.mean(), hits, clean.mean(), standard_error(losses), standard_error(change)]
        measured = group.agree(torch.cat([trained, torch.stack(scored)]).tolist())  # the epoch's one synchronization
        train_loss, train_accuracy = (value / len(train) for value in measured[:2])
        val_loss, val_accuracy = measured[3], measured[4] / len(data.validation)
        finite = math.isfinite(train_loss) and math.isfinite(val_loss)
        has_noise = math.isfinite(val_loss) and len(data.validation) > 1
        monitored = val_loss if state.stopper.monitor == "val_loss" else val_accuracy
        improved = state.stopper.update(state.epoch, monitored if finite else math.nan)
        state.plateau.update(spec.schedule, val_loss)
        had_best = state.best_losses is not None
        if improved:
            on_best(state.keep_best(losses))
        joules_after = joules()
        seconds = time.monotonic() - state.epoch_started
        result = EpochResult(
            epoch=state.epoch,
            train_loss=train_loss,
            train_loss_clean=measured[5] if data.clean else None,
            val_loss=val_loss,
            train_accuracy=train_accuracy,
            val_accuracy=val_accuracy,
            penalty=measured[2],
            lr=lr,
            seconds=seconds,
            images_per_second=len(train) / seconds,
            improved=improved,
            epochs_without_improvement=state.stopper.state.epochs_without_improvement,
            val_loss_se=measured[6] if has_noise else None,
            val_change_se=measured[7] if has_noise and had_best else None,
            joules=_spent(joules_before, joules_after, group),
        )
        state.close_epoch(result)
        on_epoch(result)
    return ended(_stop_reason(state) or "max_epochs")


def _begun(model: nn.Module, data: TrainingData, spec: JobSpec, group: Group, resume_from: Snapshot | None) -> State:
    """Where the run begins, or goes on. Raises CheckpointMismatch."""
    state = State.fresh(spec, model, data.train.steps(spec.batch_size), data.train.device, group)
    if resume_from is not None:
        state.restore(resume_from, data.digest)
    return state


def _unheard(_: object) -> None:
    """What is told by a process that does not lead its group."""


def _spent(before: float | None, after: float | None, group: Group) -> float | None:
    """Joules between two readings, of all devices; None where one has no meter."""
    spent = group.gather(None if before is None or after is None else after - before)
    return None if None in spent else sum(one for one in spent if one is not None)


def _next_checkpoint(started: float, every: float) -> float:
    """When the next snapshot is due after one that was begun at `started`: a large one is taken less often."""
    now = time.monotonic()
    return now + max(every, CHECKPOINT_COST * (now - started)) if every else now


def _stop_reason(state: State) -> str | None:
    """Why the run must end after its last epoch, None where it may go on."""
    if state.history and not math.isfinite(state.history[-1].train_loss):
        return "diverged"
    return state.stopper.state.stopped


def _out_of_time(state: State) -> str | None:
    """Whether the run has had its time; the first epoch is let be."""
    limit = state.spec.max_seconds
    late = limit is not None and time.monotonic() - state.started >= limit
    return "max_seconds" if late and state.history else None
