"""Our engine in process, without the service around it: the same job as the peers do."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from service.core.spec import JobSpec
from tests.benchmarks.job import CLASSES, Arguments, Record, arguments, device
from tests.benchmarks.summary import US
from workers.training.checkpoint import save_tensors
from workers.training.data.batches import Batches
from workers.training.data.images import ImageSet
from workers.training.data.normalization import Normalization
from workers.training.data.prepare import Prepared
from workers.training.data.split import Split
from workers.training.loop import TrainingData, fit
from workers.training.models import build_model
from workers.training.precision import Precision
from workers.training.process import tune
from workers.training.state import EpochResult, Snapshot

NONE = torch.empty(0, dtype=torch.int64)  # indices of no images


def job_spec(job: str, batch_size: int, epochs: int, seed: int) -> JobSpec:
    """The benchmark's network and optimizer in the words of a job."""
    channels, dropout = ([32, 64, 128], 0.25) if job == "cnn" else ([32, 64], 0.0)
    spec = {
        "dataset": {"id": job},
        "model": {"arch": "cnn", "channels": channels, "hidden": [128]},
        "regularization": {"dropout": dropout},
        "epochs": epochs,
        "batch_size": batch_size,
        "seed": seed,
        "early_stopping": None,
        "train_loss_clean": False,
    }
    return JobSpec.from_dict(spec).filled(seed)


def images_of(path: Path) -> tuple[ImageSet, Split]:
    """All images of the npz as one set, and which of them are for training and for validation."""
    with np.load(path) as file:
        train, validation = torch.from_numpy(file["train_images"]), torch.from_numpy(file["validation_images"])
        labels = torch.from_numpy(np.concatenate([file["train_labels"], file["validation_labels"]]))
    images = ImageSet(torch.cat([train, validation]), labels, tuple(map(str, range(CLASSES))))
    return images, Split(torch.arange(len(train)), torch.arange(len(train), len(images)), NONE)


def network_of(spec: JobSpec, images: ImageSet) -> nn.Module:
    return build_model(spec, images.shape, CLASSES).to(device()).to(memory_format=torch.channels_last)


def parts_of(images: ImageSet, split: Split, normalization: Normalization | None = None) -> TrainingData:
    """The two parts on the device, normalized with the training images' statistics where nothing else is given."""
    statistics = normalization or Normalization.of(images.chunks(split.train))
    batches: Callable[[Tensor], Batches] = Prepared(images, split, statistics, NONE).on(device())
    return TrainingData(batches(split.train), batches(split.validation), None)


def train(name: str, given: Arguments, precision: Precision | Literal["auto"]) -> tuple[Record, int]:
    """What was measured, and how many training images there were."""
    images, split = images_of(given.data)
    spec = replace(job_spec(given.job, given.batch_size, given.epochs, given.seed), precision=precision)
    model, parts = network_of(spec, images), parts_of(images, split)

    def on_epoch(result: EpochResult) -> None:
        record.epoch(result.train_loss, result.val_loss, result.val_accuracy)

    def on_checkpoint(snapshot: Snapshot) -> None:
        save_tensors(given.folder / "best.pt", snapshot["best"] or {})

    record = Record(name)
    fit(model, parts, spec, on_epoch, on_checkpoint=on_checkpoint)
    return record, len(split.train)


def main(name: str = US, precision: Precision | Literal["auto"] = "auto") -> None:
    tune(torch.get_num_threads())  # as a trainer process does
    record, images = train(name, arguments(), precision)
    record.print(images)


if __name__ == "__main__":
    main()
