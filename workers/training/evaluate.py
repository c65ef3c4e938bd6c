"""Scoring a model: plain cross entropy and accuracy, averaged per image, in eval mode, leaving no trace."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn
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
def evaluate(model: nn.Module, batches: Batches, batch_size: int = BATCH) -> Score:
    """Score the model on every image once; the same, up to rounding, for any batch size.

    Changes no parameter, buffer, mode or random state. Sums stay on the device in float64: one synchronization.
    """
    loss = torch.zeros((), dtype=torch.float64, device=batches.device)
    correct = torch.zeros((), dtype=torch.int64, device=batches.device)
    with eval_mode(model):
        for images, labels in batches.in_order(batch_size):
            logits = model(images)
            loss += F.cross_entropy(logits, labels, reduction="none").sum(dtype=torch.float64)
            correct += (logits.argmax(1) == labels).sum()
    return Score(loss.item() / len(batches), correct.item() / len(batches))
