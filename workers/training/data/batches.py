"""The images of one part of a split, batch by batch, on the device.

What fits is Resident: one uint8 tensor on the device, a batch is an index_select. What does not is Streamed: loader
processes gather the batches ahead of time. Both give the same batches in the same order.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from workers.training.data.augmentation.draws import send
from workers.training.data.augmentation.layout import select
from workers.training.data.images import ImageSet
from workers.training.data.normalization import Normalization
from workers.training.parent import die_with_parent

LOADERS = 2  # processes for each streamed part
PREFETCH = 4  # batches that each has ready


class Batches(ABC):
    """Some images of a set, by their indices."""

    def __init__(self, data: ImageSet, indices: Tensor, normalization: Normalization, device: torch.device) -> None:
        """`indices` int64 [n], on the CPU."""
        self.device, self.shape, self.classes = device, data.shape, len(data.classes)
        self.labels = data.labels.index_select(0, indices)
        self._indices = indices
        self._scale, self._shift = normalization.scale_and_shift(device)

    def __len__(self) -> int:
        """How many images there are."""
        return len(self._indices)

    def in_order(self, batch_size: int, first: int = 0, every: int = 1) -> Iterator[tuple[Tensor, Tensor]]:
        """(images float32 [B, C, H, W] normalized, labels int64 [B]); the last batch may be smaller.

        Only the batch with index `first` and each `every`-th batch after it.
        """
        for pixels, labels in self._take(torch.split(self._indices, batch_size)[first::every]):
            yield self.normalized(pixels), labels

    def shuffled(self, batch_size: int, order: torch.Generator, skip: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """(pixels uint8 [B, C, H, W], labels int64 [B]): every image once, in an order drawn from a CPU generator.

        The first `skip` batches are left out; the order is the same.
        """
        permutation = torch.randperm(len(self), generator=order)
        return self._take(torch.split(self._indices[permutation], self._sizes(batch_size))[skip:])

    def steps(self, batch_size: int) -> int:
        """How many batches `shuffled` makes of all images."""
        return len(self._sizes(batch_size))

    def normalized(self, pixels: Tensor) -> Tensor:
        """uint8 pixels as a network sees them: float32, channels last."""
        return pixels.to(torch.float32, memory_format=torch.channels_last).mul_(self._scale).add_(self._shift)

    def _sizes(self, batch_size: int) -> list[int]:
        """The last batch is what is left. A single image joins the batch before it: batch norm takes no single one."""
        full, rest = divmod(len(self), batch_size)
        if rest == 1 and full:
            return [batch_size] * (full - 1) + [batch_size + 1]
        return [batch_size] * full + [rest] * (rest > 0)

    @abstractmethod
    def _take(self, chunks: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """The uint8 images and labels at each chunk of indices, on the device."""


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
    """The images stay where they are; loader processes gather them, and copies to a GPU come from pinned memory."""

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
            generator=torch.Generator(),  # its own draws must not disturb those of the training
        )

    def _take(self, chunks: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        self._chunks.now = chunks
        for pixels, labels in self._loader:
            yield pixels.to(self.device, non_blocking=True), labels.to(self.device, non_blocking=True)


class _Chunks:
    """The sampler of a Streamed: what is to be gathered in this pass."""

    now: Sequence[Tensor] = ()

    def __iter__(self) -> Iterator[Tensor]:
        return iter(self.now)

    def __len__(self) -> int:
        return len(self.now)


class _Gathered(Dataset[tuple[Tensor, Tensor]]):
    """A whole batch by its indices, in a loader process."""

    def __init__(self, data: ImageSet) -> None:
        self._data = data

    def __getitem__(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        return self._data.take(indices), self._data.labels.index_select(0, indices)


def _start_loader(_: int) -> None:
    die_with_parent()
