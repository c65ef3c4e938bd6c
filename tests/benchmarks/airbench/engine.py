"""The recipe in Rightfit's engine."""

from collections.abc import Callable

import torch

from service.core.spec import JobSpec
from tests.golden.training import build, prepare
from workers.training.data.images import ImageSet
from workers.training.loop import TrainingData, fit
from workers.training.models.whitening import whiten


def train(images: ImageSet, spec: JobSpec, device: torch.device, on_epoch: Callable[[float], None]) -> None:
    """`on_epoch` gets the validation accuracy of each epoch, measured with averaged weights and views."""
    prepared = prepare(spec, images)
    model = build(spec, prepared)
    whiten(model, images, prepared.split.train, prepared.normalization)
    model.to(device).to(memory_format=torch.channels_last)
    batches = prepared.on(device)
    data = TrainingData(batches(prepared.split.train), batches(prepared.split.validation), None)
    fit(model, data, spec, lambda epoch: on_epoch(epoch.val_accuracy))
