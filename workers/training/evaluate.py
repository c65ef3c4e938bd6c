"""Scoring a model: plain cross entropy and accuracy, averaged per image, in eval mode, leaving no trace."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from workers.training.data.batches import Batches

MOST_IMAGES = 1024  # at a time; more than in training, since no activations are kept
TIMES_TRAINING = 16  # the training batch, for which memory is known to be there, activations and gradients included
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


def scoring_batch(batches: Batches, training_batch: int) -> int:
    """How many images are scored at a time: at least as many as one trains on, which is known to fit."""
    by_pixels = MOST_PIXELS // (batches.shape[1] * batches.shape[2])
    return max(training_batch, min(MOST_IMAGES, TIMES_TRAINING * training_batch, by_pixels))


@torch.no_grad()
def score_sums(model: nn.Module, batches: Batches, batch_size: int) -> Tensor:
    """float64 [2], still on the device: the sum of the losses over every image once, and how many were right.

    Always in float32 (which a GPU may compute as TF32), whatever precision the training steps use. Changes no
    parameter, buffer, mode or random state, and does not synchronize.
    """
    sums = torch.zeros(2, dtype=torch.float64, device=batches.device)
    with eval_mode(model):
        for images, labels in batches.in_order(batch_size):
            logits = model(images)
            sums[0] += F.cross_entropy(logits, labels, reduction="none").sum(dtype=torch.float64)
            sums[1] += (logits.argmax(1) == labels).sum()
    return sums


def evaluate(model: nn.Module, batches: Batches, batch_size: int = 256) -> Score:
    """Score the model on every image once; the same, up to rounding, for any batch size."""
    loss, correct = score_sums(model, batches, batch_size).tolist()
    return Score(loss / len(batches), correct / len(batches))
