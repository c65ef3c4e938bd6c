"""Scoring a model: cross entropy and accuracy, averaged per image, in eval mode, without side effects."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from workers.training.data.batches import Batches
from workers.training.group import SINGLE_PROCESS, Group

MOST_IMAGES = 1024  # per batch; more than in training, because no activations are kept
TIMES_TRAINING = 16  # maximum ratio to the training batch, which is known to fit with its activations and gradients
MOST_PIXELS = 1 << 18  # of one channel per batch; larger batches need more memory and are no faster


@dataclass(frozen=True)
class Score:
    """Mean cross entropy per image (nats, without smoothing, weights or penalties) and share of images right.

    `loss_se` is the standard error of the mean loss in nats, None for a single image.
    """

    loss: float
    accuracy: float
    loss_se: float | None


@contextmanager
def eval_mode(model: nn.Module) -> Iterator[None]:
    """Eval mode within the block. Restores the mode of each module afterwards, also after an exception."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def train_mode(model: nn.Module) -> None:
    """Train mode for the model, eval mode for its frozen modules, so that their batch norm statistics stay fixed."""
    model.train()
    for module in model.modules():
        parameters = list(module.parameters())
        if parameters and not any(p.requires_grad for p in parameters):
            module.eval()


def scoring_batch(batches: Batches, training_batch: int) -> int:
    """The number of images per batch in scoring: at least the training batch, which is known to fit into memory."""
    by_pixels = MOST_PIXELS // (batches.shape[1] * batches.shape[2])
    return max(training_batch, min(MOST_IMAGES, TIMES_TRAINING * training_batch, by_pixels))


@torch.no_grad()
def score_each(
    model: nn.Module, batches: Batches, batch_size: int, group: Group = SINGLE_PROCESS
) -> tuple[Tensor, Tensor]:
    """Score every image once: (losses float64 [n] in the order of the batches, number of correct ones float64 []).

    Both are on the device, in float32 (a GPU may use TF32) for any precision of training. Changes no parameter,
    buffer, mode or random state, and does not synchronize. Each of the n processes of a group scores every n-th batch,
    and each gets all scores.
    """
    losses = torch.zeros(len(batches), dtype=torch.float64, device=batches.device)
    hits = torch.zeros((), dtype=torch.float64, device=batches.device)
    done = group.rank * batch_size
    with eval_mode(model):
        for images, labels in batches.in_order(batch_size, group.rank, group.size):
            logits = model(images)
            losses[done : done + len(labels)] = F.cross_entropy(logits, labels, reduction="none")
            hits += (logits.argmax(1) == labels).sum()
            done += group.size * batch_size
    return group.add_(losses), group.add_(hits)


def standard_error(values: Tensor) -> Tensor:
    """Standard error of the mean of `values` [n]: standard deviation / sqrt(n). float64 []; 0 for a single value."""
    if len(values) < 2:  # noqa: PLR2004 - one value has no deviation
        return torch.zeros((), dtype=torch.float64, device=values.device)
    return values.std() / math.sqrt(len(values))


def evaluate(model: nn.Module, batches: Batches, batch_size: int = 256) -> Score:
    """Score the model on every image once. The batch size changes the result only by rounding."""
    losses, hits = score_each(model, batches, batch_size)
    loss, correct, error = torch.stack([losses.mean(), hits, standard_error(losses)]).tolist()
    return Score(loss, correct / len(batches), error if len(batches) > 1 else None)
