"""The data of a spec: loaded, split, and with the statistics for normalization."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from service.core.records.part_sizes import PartSizes
from service.core.records.splits import KEEPS_GROUPS, Splits, split_names
from service.core.spec import JobSpec
from workers.training import data
from workers.training.data.batches import Batches, Resident, Streamed
from workers.training.data.images import ImageSet
from workers.training.data.memory import room
from workers.training.data.normalization import Normalization
from workers.training.data.split import Division, Split, divided, stratified_subset
from workers.training.data.split_of_0_1 import split_of_0_1


@dataclass(frozen=True)
class Prepared:
    """The whole set on the CPU, its split, and the statistics of the training images."""

    images: ImageSet
    split: Split
    normalization: Normalization
    clean: Tensor  # int64 indices of the training images that are scored without augmentation and dropout
    notes: tuple[str, ...] = ()  # where the split differs from what the spec asks for
    keeps_groups: bool = False  # whether the split is drawn by the rule for groups of release 0.2

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the images, their labels and the split, hexadecimal. A checkpoint is valid for this data only."""
        return data_digest(self.images.digest, self.split.digests())

    def splits(self, spec: JobSpec) -> Splits:
        """The names of the validation and the test images of a job with this spec."""
        parts = [] if self.images.parts is None else torch.unique(self.images.parts).tolist()
        given = [PartSizes._fields[part] for part in parts]
        return split_names(spec.dataset, spec.split_seed, given, KEEPS_GROUPS if self.keeps_groups else "")

    def on(
        self, device: torch.device, resident_bytes: int | None = None, processes: int = 1
    ) -> Callable[[Tensor], Batches]:
        """A function from int64 indices [n] to the batches of these images on a device.

        The images are resident if they need at most `resident_bytes` (None: half of the free memory of the device, on a
        CPU divided among the `processes` of the run), else streamed.
        """
        images, normalization = self.images, self.normalization
        if images.nbytes > (room(device, processes) if resident_bytes is None else resident_bytes):
            return lambda indices: Streamed(images, indices, normalization, device)
        on_device = images.on(device)
        return lambda indices: Resident(images, on_device, indices, normalization)


def data_digest(images: str, parts: Mapping[str, str]) -> str:
    """The digest of a set with this digest whose parts, in their order, have those digests."""
    return hashlib.sha256("".join((images, *parts.values())).encode()).hexdigest()


def prepare(spec: JobSpec, paths: data.DataPaths = data.DataPaths(), digest: str | None = None) -> Prepared:  # noqa: B008 - frozen
    """Load and split the data set of a spec. Raises InvalidData and DatasetUnavailable.

    `digest` is the digest of the data of an earlier run of the spec: the run keeps the split of the release that
    began it.
    """
    images = data.load(spec.dataset.id, spec.dataset.image_size, paths, spec.dataset.resize)
    division, keeps_groups = divided(images, spec.dataset, spec.split_seed), images.has_groups
    if digest not in (None, data_digest(images.digest, division.split.digests())) and images.copies is not None:
        earlier = split_of_0_1(images, images.copies, spec.dataset, spec.split_seed)
        if digest == data_digest(images.digest, earlier.digests()):
            division, keeps_groups = Division(earlier), False
    split = division.split
    clean = stratified_subset(images.labels, split.train, len(split.validation), spec.seed)
    return Prepared(images, split, _normalization(spec, images, split.train), clean, division.notes, keeps_groups)


def _normalization(spec: JobSpec, images: ImageSet, train: Tensor) -> Normalization:
    if spec.augmentation.normalize:
        return Normalization.of(images.chunks(train))
    return Normalization.none(images.shape[0])
