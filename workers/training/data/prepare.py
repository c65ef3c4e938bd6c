"""All that a spec says about its data: loaded, split and normalized."""

from dataclasses import dataclass

import torch
from torch import Tensor

from service.core.spec import JobSpec
from workers.training import data
from workers.training.data.batches import Batches, Normalization
from workers.training.data.images import ImageSet
from workers.training.data.split import Split, stratified_split, stratified_subset


@dataclass(frozen=True)
class Prepared:
    """The whole set on the CPU, its split, and the training split's statistics."""

    images: ImageSet
    split: Split
    normalization: Normalization
    clean: Tensor  # the training images that are scored as validation images are

    def on(self, device: torch.device) -> "OnDevice":
        return OnDevice(self, self.images.to(device))


@dataclass(frozen=True)
class OnDevice:
    """The same, ready to be fed to a model on a device."""

    prepared: Prepared
    images: ImageSet

    def batches(self, indices: Tensor) -> Batches:
        return Batches(self.images, indices, self.prepared.normalization)


def prepare(spec: JobSpec) -> Prepared:
    """Load and divide the data set of a spec. Raises InvalidData."""
    images = data.load(spec.dataset.id)
    split = stratified_split(images.labels, spec.dataset, spec.seed)
    normalize = spec.augmentation.normalize
    normalization = Normalization.of(images.images, split.train) if normalize else Normalization.none(images.shape[0])
    clean = stratified_subset(images.labels, split.train, len(split.validation), spec.seed)
    return Prepared(images, split, normalization, clean)
