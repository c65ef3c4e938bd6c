"""Scoring a model: plain cross entropy and accuracy, averaged per image, in eval mode, leaving no trace."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from workers.training.data.batches import Batches

BATCH = 1024  # images at a time; larger than the training batch, since no gradients are kept


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


@torch.no_grad()
def score_sums(model: nn.Module, batches: Batches, batch_size: int = BATCH) -> Tensor:
    """float64 [2], still on the device: the sum of the losses over every image once, and how many were right.

    Changes no parameter, buffer, mode or random state, and does not synchronize.
    """
    sums = torch.zeros(2, dtype=torch.float64, device=batches.device)
    with eval_mode(model):
        for images, labels in batches.in_order(batch_size):
            logits = model(images)
            sums[0] += F.cross_entropy(logits, labels, reduction="none").sum(dtype=torch.float64)
            sums[1] += (logits.argmax(1) == labels).sum()
    return sums


def evaluate(model: nn.Module, batches: Batches, batch_size: int = BATCH) -> Score:
    """Score the model on every image once; the same, up to rounding, for any batch size."""
    loss, correct = score_sums(model, batches, batch_size).tolist()
    return Score(loss / len(batches), correct / len(batches))
