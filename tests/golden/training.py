"""The engine on images in memory, without the service around it: what the scripts of this folder train with."""

from collections.abc import Callable

import torch
from torch import nn

from service.core.spec import JobSpec
from workers.training.data.images import ImageSet
from workers.training.data.normalization import Normalization
from workers.training.data.prepare import Prepared
from workers.training.data.split import divided, stratified_subset
from workers.training.loop import TrainingData, TrainingResult, fit
from workers.training.models import build_model
from workers.training.state import EpochResult

CPU = torch.device("cpu")


def prepare(spec: JobSpec, images: ImageSet) -> Prepared:
    """The images, split by the spec and its seed. Raises InvalidData."""
    split = divided(images, spec.dataset, spec.seed).split
    clean = stratified_subset(images.labels, split.train, len(split.validation), spec.seed)
    return Prepared(images, split, Normalization.of(images.chunks(split.train)), clean)


def build(spec: JobSpec, prepared: Prepared) -> nn.Module:
    """The network of the spec. Raises Invalid and TrainingError."""
    images = prepared.images
    return build_model(spec, images.shape, len(images.classes))


def train(
    spec: JobSpec,
    prepared: Prepared,
    model: nn.Module,
    on_epoch: Callable[[EpochResult], None] = lambda result: None,
) -> TrainingResult:
    """Train the model, which has the weights of the last epoch then."""
    batches, split = prepared.on(CPU), prepared.split
    data = TrainingData(batches(split.train), batches(split.validation), batches(prepared.clean))
    return fit(model, data, spec, on_epoch)
