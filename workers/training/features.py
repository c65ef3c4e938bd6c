"""The inputs of the last layer, computed once where all other layers are frozen and see the same images each epoch."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from service.core.spec import Augmentation, JobSpec
from service.core.spec.models import is_frozen
from workers.training.data.batches import Batches
from workers.training.evaluate import eval_mode, scoring_batch, train_mode
from workers.training.group import Group
from workers.training.models.classifier import head_of, tail_of

PROBABILITIES = ("p", "drop_prob")  # its name in torch and torchvision, and in timm
LARGEST_HALF = torch.finfo(torch.float16).max

log = logging.getLogger(__name__)


class Features(Batches):
    """The images of a part as the inputs of the last layer: [n, F] on the device, in the order of the part.

    `shape` stays that of the images.
    """

    def __init__(self, source: Batches, values: Tensor) -> None:
        self.device, self.shape, self.classes, self.labels = source.device, source.shape, source.classes, source.labels
        self._values, self._labels = values, source.labels.to(source.device)
        self._indices = torch.arange(len(source))

    def normalized(self, pixels: Tensor) -> Tensor:
        """Features as the input of the last layer: float32."""
        return pixels.float()

    def _take(self, chunks: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        for chunk in chunks:
            places = chunk.to(self.device)
            yield self._values.index_select(0, places), self._labels.index_select(0, places)


def compute_features(
    model: nn.Module, images: Batches, batch_size: int, should_stop: Callable[[], object], *, half: bool
) -> Features | None:
    """The features of all images of a part, in eval mode. None where the run is to stop before they are complete.

    `should_stop` is called before each batch; `batch_size` is that of training. With `half` they are kept in float16,
    if they are not too large for it.
    """
    began, parts = time.monotonic(), list[Tensor]()
    with torch.no_grad(), eval_mode(model), _inputs_of(head_of(model)[1], parts):
        for batch, _ in images.in_order(scoring_batch(images, batch_size)):
            if should_stop():
                return None
            model(batch)
    values = torch.cat(parts)
    log.info("computed the features of %d images once, in %.1f s", len(images), time.monotonic() - began)
    return Features(images, values.half() if half and values.abs().max() < LARGEST_HALF else values)


def may_keep_features(spec: JobSpec, model: nn.Module, epoch: int, group: Group) -> bool:
    """Whether the inputs of the last layer are the same in each epoch, so that they need be computed once only.

    The other layers must be frozen, without dropout or other random layers among them, and images must not be augmented
    or mixed. Several processes keep no features, since they average gradients by way of the whole network.
    """
    is_mixed = spec.regularization.mixup_alpha or spec.regularization.cutmix_alpha
    is_augmented = replace(spec.augmentation, normalize=True) != Augmentation()
    tail = tail_of(model)
    if not is_frozen(spec.model, epoch) or tail is None or is_mixed or is_augmented or group.size > 1:
        return False
    train_mode(model)
    return not any(_is_random(module) for module in model.modules() if module is not tail.dropout)


def _is_random(module: nn.Module) -> bool:
    """Whether a layer draws random numbers in its mode: dropout and stochastic depth have a probability."""
    return module.training and any(getattr(module, name, 0) for name in PROBABILITIES)


@contextmanager
def _inputs_of(head: nn.Module, parts: list[Tensor]) -> Iterator[None]:
    """Within the block, add the inputs [N, F] of each pass through the last layer to `parts`."""

    def keep(_: nn.Module, inputs: tuple[Any, ...]) -> None:
        parts.append(inputs[0])

    hook = head.register_forward_pre_hook(keep)
    try:
        yield
    finally:
        hook.remove()
