"""The images of one part of a split, batch by batch, on the device.

Resident: all images are one uint8 tensor on the device, and a batch is an index_select. Streamed, for sets that do not
fit: loader processes gather the batches ahead of time. Both give the same batches in the same order.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from service.core.spec import Augmentation
from service.core.system import die_with_parent
from workers.training.data.augmentation import augment
from workers.training.data.augmentation.draws import send
from workers.training.data.augmentation.layout import select
from workers.training.data.augmentation.random_erasing import random_erasing
from workers.training.data.images import ImageSet
from workers.training.data.normalization import Normalization
from workers.training.data.sampling import balanced_draws

LOADERS = 2  # processes for each streamed part
PREFETCH = 4  # batches that each loader process has ready


class Batches(ABC):
    """A part of a set of images, given by indices."""

    def __init__(self, data: ImageSet, indices: Tensor, normalization: Normalization, device: torch.device) -> None:
        """`indices` int64 [n], on the CPU."""
        self.device, self.shape, self.classes = device, data.shape, len(data.classes)
        self.labels = data.labels.index_select(0, indices)
        self._indices = indices
        self._scale, self._shift = normalization.scale_and_shift(device)

    def __len__(self) -> int:
        """The number of images."""
        return len(self._indices)

    def in_order(self, batch_size: int, first: int = 0, every: int = 1) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches of (normalized images float32 [B, C, H, W], labels int64 [B]); the last one may be smaller.

        Yields the batch with index `first` and every `every`-th batch after it.
        """
        for pixels, labels in self._take(torch.split(self._indices, batch_size)[first::every]):
            yield self.normalized(pixels), labels

    def shuffled(
        self, batch_size: int, order: torch.Generator, skip: int = 0, sampling: str = "natural"
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches of (pixels uint8 [B, C, H, W], labels int64 [B]) of as many images as there are.

        `sampling` natural: every image once. balanced: draws with replacement, see `balanced_draws`. The order is that
        of the CPU generator. The first `skip` batches are omitted; the order is the same.
        """
        is_balanced = sampling == "balanced"
        places = balanced_draws(self.labels, order) if is_balanced else torch.randperm(len(self), generator=order)
        return self._take(torch.split(self._drawn(places, order), self._sizes(batch_size))[skip:])

    def steps(self, batch_size: int) -> int:
        """The number of batches of `shuffled`."""
        return len(self._sizes(batch_size))

    def normalized(self, pixels: Tensor) -> Tensor:
        """uint8 pixels [B, C, H, W] as the input of a network: normalized, float32, channels last."""
        return pixels.to(torch.float32, memory_format=torch.channels_last).mul_(self._scale).add_(self._shift)

    def augmented(self, pixels: Tensor, options: Augmentation, random: torch.Generator, epoch: int) -> Tensor:
        """uint8 pixels [B, C, H, W] as the input of a network in training: augmented, normalized and erased."""
        images = self.normalized(augment(pixels, options, random, epoch))
        return random_erasing(images, options.random_erasing, random) if options.random_erasing else images

    def view(
        self, batch_size: int, options: Augmentation, random: torch.Generator, epoch: int
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """As `in_order`, with augmented images."""
        for pixels, labels in self._take(torch.split(self._indices, batch_size)):
            yield self.augmented(pixels, options, random, epoch), labels

    def _drawn(self, places: Tensor, order: torch.Generator) -> Tensor:
        """What `_take` understands, int64 [n], for the images at these places of the part."""
        return self._indices[places]

    def _sizes(self, batch_size: int) -> list[int]:
        """Sizes of the batches. A single last image joins the batch before it, because batch norm needs two or more."""
        full, rest = divmod(len(self), batch_size)
        if rest == 1 and full:
            return [batch_size] * (full - 1) + [batch_size + 1]
        return [batch_size] * full + [rest] * (rest > 0)

    @abstractmethod
    def _take(self, chunks: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """The uint8 images and the labels of each chunk of indices, on the device."""


class Resident(Batches):
    """All images of the set, uint8 [N, C, H, W], are on the device."""

    def __init__(self, data: ImageSet, on_device: Tensor, indices: Tensor, normalization: Normalization) -> None:
        super().__init__(data, indices, normalization, on_device.device)
        self._images, self._labels = on_device, data.labels.to(on_device.device)

    def _take(self, chunks: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        if not chunks:
            return
        indices = send(torch.cat(list(chunks)), self.device)
        for chunk in torch.split(indices, [len(chunk) for chunk in chunks]):
            yield select(self._images, chunk), self._labels.index_select(0, chunk)


class Streamed(Batches):
    """Loader processes gather the images of each batch; copies to a GPU come from pinned memory."""

    def __init__(self, data: ImageSet, indices: Tensor, normalization: Normalization, device: torch.device) -> None:
        super().__init__(data, indices, normalization, device)
        self._chunks = _Chunks()
        self._loader: DataLoader[tuple[Tensor, Tensor]] = DataLoader(
            _Gathered(data),
            sampler=self._chunks,
            batch_size=None,  # the sampler's items are whole batches
            num_workers=LOADERS,
            prefetch_factor=PREFETCH,
            persistent_workers=True,
            pin_memory=device.type == "cuda",
            multiprocessing_context="fork",  # the images are shared, not copied
            worker_init_fn=_start_loader,
            generator=torch.Generator(),  # keeps its draws out of the global generator
        )

    def _take(self, chunks: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        self._chunks.current = chunks
        for pixels, labels in self._loader:
            yield pixels.to(self.device, non_blocking=True), labels.to(self.device, non_blocking=True)


class _Chunks:
    """The sampler of a Streamed: the chunks of indices of the current pass."""

    current: Sequence[Tensor] = ()

    def __iter__(self) -> Iterator[Tensor]:
        return iter(self.current)

    def __len__(self) -> int:
        return len(self.current)


class _Gathered(Dataset[tuple[Tensor, Tensor]]):
    """Gathers a whole batch by its indices, in a loader process."""

    def __init__(self, data: ImageSet) -> None:
        self._data = data

    def __getitem__(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        return self._data.take(indices), self._data.labels.index_select(0, indices)


def _start_loader(_: int) -> None:
    die_with_parent()
