"""All that a spec says about its data: loaded, split and normalized."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from service.core.spec import JobSpec
from workers.training import data
from workers.training.data.batches import Batches, Resident, Streamed
from workers.training.data.images import ImageSet
from workers.training.data.memory import room
from workers.training.data.normalization import Normalization
from workers.training.data.split import Split, stratified_split, stratified_subset


@dataclass(frozen=True)
class Prepared:
    """The whole set on the CPU, its split, and the training split's statistics."""

    images: ImageSet
    split: Split
    normalization: Normalization
    clean: Tensor  # the training images that are scored as validation images are

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the images with their labels and of the split: what a checkpoint belongs to."""
        sha = hashlib.sha256(self.images.digest.encode())
        for digest in self.split.digests().values():
            sha.update(digest.encode())
        return sha.hexdigest()

    def on(
        self, device: torch.device, resident_bytes: int | None = None, processes: int = 1
    ) -> Callable[[Tensor], Batches]:
        """What makes batches of the images at given indices, on a device.

        They are resident where they need at most `resident_bytes` (None: half of the device's free memory, of which
        each of the `processes` that do the same has its part).
        """
        images, normalization = self.images, self.normalization
        if images.nbytes > (room(device, processes) if resident_bytes is None else resident_bytes):
            return lambda indices: Streamed(images, indices, normalization, device)
        on_device = images.on(device)
        return lambda indices: Resident(images, on_device, indices, normalization)


def prepare(spec: JobSpec, paths: data.DataPaths = data.DataPaths()) -> Prepared:  # noqa: B008 - frozen
    """Load and divide the data set of a spec. Raises InvalidData."""
    images = data.load(spec.dataset.id, spec.dataset.image_size, paths)
    split = stratified_split(images.labels, spec.dataset, spec.seed, images.parts, images.copies, images.classes)
    clean = stratified_subset(images.labels, split.train, len(split.validation), spec.seed)
    return Prepared(images, split, _normalization(spec, images, split.train), clean)


def _normalization(spec: JobSpec, images: ImageSet, train: Tensor) -> Normalization:
    if spec.augmentation.normalize:
        return Normalization.of(images.chunks(train))
    return Normalization.none(images.shape[0])
