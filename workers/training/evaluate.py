"""Scoring a model: its logits for all images of a part, in eval mode and without side effects, and their losses."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from workers.training.data.batches import Batches
from workers.training.group import SINGLE_PROCESS, Group
from workers.training.models.classifier import forward_of
from workers.training.views import NONE, averaged

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


@dataclass(frozen=True)
class Outcomes:
    """What a model does with n images of K classes, on the device.

    `guesses` int64 [n] are the first of the largest logits, `losses` float64 [n] cross entropies in nats. `shifted`
    float32 [K, n] are the logits minus the largest one of their image, `own` float32 [n] is that of the image's label.
    """

    guesses: Tensor
    losses: Tensor
    shifted: Tensor
    own: Tensor


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


class Scorer:
    """Scores models on all images of one part, in float32 (a GPU may use TF32) for any precision of training.

    Changes no parameter, buffer, mode or random state of a model, and does not synchronize with the device.
    """

    def __init__(self, batches: Batches, batch_size: int, group: Group = SINGLE_PROCESS, views: str = NONE) -> None:
        """Each of the n processes of a group scores every n-th batch, and each gets all logits.

        `views` is the test-time augmentation.
        """
        self._batches, self._batch_size, self._group, self._views = batches, batch_size, group, views
        self.labels = batches.labels.to(batches.device)

    @torch.no_grad()
    def logits(self, model: nn.Module) -> Tensor:
        """float32 [n, K], in the order of the batches."""
        batches, group, size = self._batches, self._group, self._batch_size
        logits = torch.zeros(len(batches), batches.classes, device=batches.device)
        done, forward = group.rank * size, None
        with eval_mode(model):
            for images, _ in batches.in_order(size, group.rank, group.size):
                forward = forward or forward_of(model, images)
                logits[done : done + len(images)] = averaged(forward, images, self._views)
                done += group.size * size
        return group.add_(logits)

    def outcomes(self, logits: Tensor) -> Outcomes:
        """The outcomes of logits float32 [n, K] that this scorer has returned."""
        top, guesses = logits.max(1)
        # With the images in the last dimension, torch's CPU kernels are several times as fast for a few classes.
        shifted = (logits - top[:, None]).T.contiguous()
        own = shifted.gather(0, self.labels[None])[0]
        return Outcomes(guesses, cross_entropies(shifted, own), shifted, own)

    def score(self, logits: Tensor) -> Score:
        """The score of logits that this scorer has returned. Synchronizes with the device."""
        outcomes = self.outcomes(logits)
        losses, hits = outcomes.losses, (outcomes.guesses == self.labels).double()
        loss, accuracy, error = torch.stack([losses.mean(), hits.mean(), standard_error(losses)]).tolist()
        return Score(loss, accuracy, error if len(losses) > 1 else None)


def cross_entropies(shifted: Tensor, own: Tensor) -> Tensor:
    """float64 [n]: the cross entropy of each image, from logits as `Outcomes` has them."""
    return shifted.exp().sum(0).log().sub(own).double()


def standard_error(values: Tensor) -> Tensor:
    """Standard error of the mean of `values` [n]: standard deviation / sqrt(n). float64 []; 0 for a single value."""
    if len(values) < 2:  # noqa: PLR2004 - one value has no deviation
        return torch.zeros((), dtype=torch.float64, device=values.device)
    return values.std() / math.sqrt(len(values))


def evaluate(model: nn.Module, batches: Batches, batch_size: int = 256, views: str = NONE) -> Score:
    """Score the model on every image once. The batch size changes the result only by rounding."""
    scorer = Scorer(batches, batch_size, views=views)
    return scorer.score(scorer.logits(model))
