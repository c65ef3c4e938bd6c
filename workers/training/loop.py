"""The training loop: visible code, read from top to bottom."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from service.core.spec import JobSpec
from workers.training.checkpoint import Weights, weights_of
from workers.training.data.batches import Batches
from workers.training.evaluate import score_sums
from workers.training.optim import build_optimizer
from workers.training.regularization.l1 import l1_penalty, l1_proximal_
from workers.training.regularization.weight_decay import l2_penalty, split_parameters
from workers.training.seeds import derive, generator
from workers.training.stopping import Stopper


@dataclass(frozen=True)
class Parts:
    """What a run trains on and is scored on. `clean` is the training subset that is scored as validation is."""

    train: Batches
    validation: Batches
    clean: Batches | None


@dataclass(frozen=True)
class EpochResult:
    """One epoch. Losses are mean cross entropy per image (nats) and may be non-finite; accuracies are shares.

    `train_loss` and `train_accuracy` are averages over the epoch, as the weights moved, with dropout in force.
    `train_loss_clean` is the fair twin of `val_loss`: after the epoch, in eval mode. `penalty` is what L1 and coupled
    weight decay add to the objective with the weights as they are at the end of the epoch. `seconds` is the whole
    epoch, scoring included, and `images_per_second` the training images over it.
    """

    epoch: int
    train_loss: float
    train_loss_clean: float | None
    val_loss: float
    train_accuracy: float
    val_accuracy: float
    penalty: float
    lr: float
    seconds: float
    images_per_second: float
    improved: bool
    epochs_without_improvement: int


@dataclass(frozen=True)
class Fitted:
    """How a run ended: why, after how many epochs, and the best epoch with its weights (None if none was finite)."""

    stop_reason: str
    epochs: int
    best_epoch: int | None
    best_weights: Weights | None


def fit(
    model: nn.Module,
    parts: Parts,
    spec: JobSpec,
    on_epoch: Callable[[EpochResult], None] = lambda result: None,
    on_best: Callable[[Weights], None] = lambda weights: None,
    should_stop: Callable[[], str | None] = lambda: None,
) -> Fitted:
    """Train `model` in place until early stopping, the epochs, the time or `should_stop` end it.

    `should_stop` is asked before every batch and names a stop reason to end at once, as `max_seconds` does once the
    first epoch is complete: an unfinished epoch is not reported. `on_best` gets a copy of the weights after each
    improvement, before `on_epoch` tells of it. An epoch with a non-finite loss is never the best one, and a
    non-finite training loss ends the run as `diverged`. The global random state is seeded from the spec (dropout
    draws from it).
    """
    started = time.monotonic()
    torch.manual_seed(derive(spec.seed, "dropout"))
    order = generator(spec.seed, "order")
    regularization = spec.regularization
    optimizer = build_optimizer(model, spec.optimizer, regularization.weight_decay, regularization.decay_norm_and_bias)
    penalized, _ = split_parameters(model, regularization.decay_norm_and_bias)
    coupled_decay = 0.0 if spec.optimizer.name == "adamw" else regularization.weight_decay
    l1_in_loss = regularization.l1 if regularization.l1_mode == "loss" else 0.0
    l1_proximal = regularization.l1 if regularization.l1_mode == "proximal" else 0.0
    stopper = Stopper(spec.early_stopping)
    best: Weights | None = None
    device = parts.train.device

    def ended(reason: str, epochs: int) -> Fitted:
        return Fitted(reason, epochs, stopper.state.best_epoch, best)

    def out_of_time(epoch: int) -> str | None:
        late = spec.max_seconds is not None and time.monotonic() - started >= spec.max_seconds
        return "max_seconds" if late and epoch > 1 else None

    for epoch in range(1, spec.epochs + 1):
        epoch_started = time.monotonic()
        sums = torch.zeros(2, dtype=torch.float64, device=device)  # losses, images that were right
        lr = optimizer.param_groups[0]["lr"]

        model.train()
        for images, labels in parts.train.shuffled(spec.batch_size, order):
            if reason := should_stop() or out_of_time(epoch):
                return ended(reason, epoch - 1)
            optimizer.zero_grad(set_to_none=True)
            logits = model(images)
            loss = F.cross_entropy(logits, labels)
            objective = loss + l1_penalty(penalized, l1_in_loss) if l1_in_loss else loss
            objective.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            optimizer.step()
            if l1_proximal:
                l1_proximal_(penalized, lr * l1_proximal)
            sums[0] += loss.detach().double() * len(labels)
            sums[1] += (logits.detach().argmax(1) == labels).sum()

        validation = score_sums(model, parts.validation)
        clean = score_sums(model, parts.clean) if parts.clean else validation
        penalty = _penalty(penalized, regularization.l1, coupled_decay)
        measured = torch.cat([sums, validation, clean, penalty]).tolist()  # the one synchronization of the epoch
        train_loss, train_accuracy = (value / len(parts.train) for value in measured[:2])
        val_loss, val_accuracy = (value / len(parts.validation) for value in measured[2:4])
        finite = math.isfinite(train_loss) and math.isfinite(val_loss)
        monitored = val_loss if stopper.monitor == "val_loss" else val_accuracy
        improved = stopper.update(epoch, monitored if finite else math.nan)
        if improved:
            best = weights_of(model)
            on_best(best)
        seconds = time.monotonic() - epoch_started
        on_epoch(
            EpochResult(
                epoch=epoch,
                train_loss=train_loss,
                train_loss_clean=measured[4] / len(parts.clean) if parts.clean else None,
                val_loss=val_loss,
                train_accuracy=train_accuracy,
                val_accuracy=val_accuracy,
                penalty=measured[6],
                lr=lr,
                seconds=seconds,
                images_per_second=len(parts.train) / seconds,
                improved=improved,
                epochs_without_improvement=stopper.state.epochs_without_improvement,
            )
        )
        if not math.isfinite(train_loss):
            return ended("diverged", epoch)
        if stopper.state.stopped:
            return ended(stopper.state.stopped, epoch)
    return ended("max_epochs", spec.epochs)


@torch.no_grad()
def _penalty(penalized: list[nn.Parameter], l1: float, coupled_decay: float) -> Tensor:
    """float64 [1], on the device."""
    total = torch.zeros(1, dtype=torch.float64, device=penalized[0].device)
    if l1:
        total += l1_penalty(penalized, l1)
    if coupled_decay:
        total += l2_penalty(penalized, coupled_decay)
    return total
