"""Scoring a model: plain cross entropy and accuracy, averaged per image, in eval mode, leaving no trace."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from workers.training.data.batches import Batches

MOST_IMAGES = 1024  # at a time; more than in training, since no activations are kept
MOST_PIXELS = 1 << 18  # of one channel at a time: larger batches need more memory and were no faster


@dataclass(frozen=True)
class Score:
    """Mean cross entropy per image (nats, without smoothing, weights or penalties) and share of images right."""

    loss: float
    accuracy: float


@contextmanager
def eval_mode(model: nn.Module) -> Iterator[None]:
    """Eval mode within the block; each module's own mode comes back after it, on an exception too."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def train_mode(model: nn.Module) -> None:
    """Train mode for the model, but eval mode for what is frozen: fixed features stay fixed, batch norm with them."""
    model.train()
    for module in model.modules():
        parameters = list(module.parameters())
        if parameters and not any(p.requires_grad for p in parameters):
            module.eval()


def scoring_batch(batches: Batches, training_batch: int = 1) -> int:
    """How many images are scored at a time: at least as many as one trains on, which is known to fit."""
    return max(training_batch, min(MOST_IMAGES, MOST_PIXELS // (batches.shape[1] * batches.shape[2])))


@torch.no_grad()
def score_sums(model: nn.Module, batches: Batches, batch_size: int) -> Tensor:
    """float64 [2], still on the device: the sum of the losses over every image once, and how many were right.

    Always in float32, whatever precision the training steps use. Changes no parameter, buffer, mode or random state,
    and does not synchronize.
    """
    sums = torch.zeros(2, dtype=torch.float64, device=batches.device)
    with eval_mode(model):
        for images, labels in batches.in_order(batch_size):
            logits = model(images)
            sums[0] += F.cross_entropy(logits, labels, reduction="none").sum(dtype=torch.float64)
            sums[1] += (logits.argmax(1) == labels).sum()
    return sums


def evaluate(model: nn.Module, batches: Batches, batch_size: int | None = None) -> Score:
    """Score the model on every image once; the same, up to rounding, for any batch size."""
    loss, correct = score_sums(model, batches, batch_size or scoring_batch(batches)).tolist()
    return Score(loss / len(batches), correct / len(batches))
