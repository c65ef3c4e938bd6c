"""The inputs of the last layer, computed once where all other layers are frozen and see the same images each epoch, or
the same number of augmented views of them.
"""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from service.core.spec import Augmentation, JobSpec
from service.core.spec.features import keeps_features
from workers.training.data.batches import Batches
from workers.training.evaluate import eval_mode, scoring_batch, train_mode
from workers.training.models.classifier import Tail, head_of, tail_of
from workers.training.seeds import generator

PROBABILITIES = ("p", "drop_prob")  # its name in torch and torchvision, and in timm
LARGEST_HALF = torch.finfo(torch.float16).max

log = logging.getLogger(__name__)


class Features(Batches):
    """The images of a part as the inputs of the last layer.

    `shape` stays that of the images.
    """

    def __init__(self, source: Batches, values: Tensor) -> None:
        """`values` [views * n, F], on the device: one view after the other, each in the order of the n images."""
        self.device, self.shape, self.classes, self.labels = source.device, source.shape, source.classes, source.labels
        self._views = len(values) // len(source)
        self._values, self._labels = values, source.labels.to(source.device).repeat(self._views)
        self._indices = torch.arange(len(source))

    def normalized(self, pixels: Tensor) -> Tensor:
        """Features as the input of the last layer: float32."""
        return pixels.float()

    def augmented(self, pixels: Tensor, options: Augmentation, random: torch.Generator, epoch: int) -> Tensor:
        """Features as the input of the last layer: their images were augmented before."""
        return self.normalized(pixels)

    def _drawn(self, places: Tensor, order: torch.Generator) -> Tensor:
        """Places in `values` of one view of each image, drawn at random."""
        if self._views == 1:
            return places
        return places + len(self) * torch.randint(self._views, (len(places),), generator=order)

    def _take(self, chunks: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        for chunk in chunks:
            places = chunk.to(self.device)
            yield self._values.index_select(0, places), self._labels.index_select(0, places)


def training_features(
    model: nn.Module, images: Batches, spec: JobSpec, should_stop: Callable[[], object]
) -> Features | None:
    """The features of the training images, or of `cached_views` augmented views of each, in float16 if it holds them.

    The views are drawn from the spec's seed alone, so that a resumed run has the same. Alternating flips go on from one
    view to the next. Otherwise as `scoring_features`.
    """
    size, options, count = scoring_batch(images, spec.batch_size), spec.augmentation, spec.model.cached_views
    if not count:
        return _computed(model, images, [images.in_order(size)], should_stop, half=True)
    random = generator(spec.seed, "views")
    views = (images.view(size, options, random, number) for number in range(1, count + 1))
    return _computed(model, images, views, should_stop, half=True)


def scoring_features(
    model: nn.Module, images: Batches, spec: JobSpec, should_stop: Callable[[], object]
) -> Features | None:
    """The features of all images of a part, in eval mode and float32, so that a loss is that of the whole network.

    None where the run is to stop before they are complete: `should_stop` is called before each batch.
    """
    passes = [images.in_order(scoring_batch(images, spec.batch_size))]
    return _computed(model, images, passes, should_stop, half=False)


def _computed(
    model: nn.Module,
    images: Batches,
    passes: Iterable[Iterator[tuple[Tensor, Tensor]]],
    should_stop: Callable[[], object],
    *,
    half: bool,
) -> Features | None:
    """The features of each pass over all images. With `half` they are in float16, if they are not too large for it."""
    began, parts = time.monotonic(), list[Tensor]()
    with torch.no_grad(), eval_mode(model), _inputs_of(head_of(model)[1], parts):
        for batch, _ in chain.from_iterable(passes):
            if should_stop():
                return None
            model(batch)
            if half and parts[-1].abs().max() < LARGEST_HALF:
                parts[-1] = parts[-1].half()
    values = torch.cat(parts)
    seconds = time.monotonic() - began
    log.info("computed the features of %d images and views once, in %.1f s", len(values), seconds)
    return Features(images, values)


def may_keep_features(spec: JobSpec, model: nn.Module, epoch: int) -> bool:
    """Whether the inputs of the last layer are computed once: the spec and the network allow it.

    The frozen layers must have no dropout or other random layers among them.
    """
    tail = tail_of(model)
    return tail is not None and keeps_features(spec, epoch) and not draws_before_head(model, tail)


def draws_before_head(model: nn.Module, tail: Tail) -> bool:
    """Whether a network draws random numbers in training, before the dropout of its end. Sets train mode."""
    train_mode(model)
    return any(_is_random(module) for module in model.modules() if module is not tail.dropout)


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
