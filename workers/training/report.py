"""The content of report.json: the data to understand a run, repeat it and use its model."""

import math
import platform
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

import torch
import torchvision
from torch import nn

from service.core.records.facts import Average
from service.core.spec import JobSpec
from service.core.spec.architectures import TIMM
from workers.training.data.prepare import Prepared
from workers.training.evaluate import Score
from workers.training.loop import TrainingResult
from workers.training.state import EpochResult


def summary(
    spec: JobSpec,
    prepared: Prepared,
    model: nn.Module,
    result: TrainingResult,
    test: Score | None,
    average: Average | None,
) -> dict[str, Any]:
    """The report as plain JSON data; a non-finite measure is null. `test` is the test score of the best weights,
    `average` has the validation loss of an average of the best epochs.
    """
    by_epoch = {epoch.epoch: epoch for epoch in result.history}
    normalization = prepared.normalization
    return {
        "spec": spec.to_dict(),
        "seed": spec.seed,
        "stop_reason": result.stop_reason,
        "epochs": result.epochs,
        "best": _finite(by_epoch.get(result.best_epoch or 0)),
        "last": _finite(by_epoch.get(result.epochs)),
        "test": _tested(test, by_epoch.get(result.best_epoch or 0), average),
        "parameters": sum(p.numel() for p in model.parameters()),
        "preprocessing": {
            **prepared.images.preprocessing.to_dict(),
            "resize": prepared.images.resize,
            "scale": "pixel / 255, then (value - mean) / std per channel",
            "mean": normalization.mean.tolist(),
            "std": normalization.std.tolist(),
        },
        "data": _data(spec.dataset.id, prepared),
        "environment": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "torchvision": torchvision.__version__,
            **({"timm": version("timm")} if spec.model.arch.startswith(TIMM) else {}),
            "device": str(next(model.parameters()).device),
            "precision": result.precision,
            "threads": torch.get_num_threads(),
        },
    }


def _data(dataset_id: str, prepared: Prepared) -> dict[str, Any]:
    images, split = prepared.images, prepared.split
    digests = split.digests()
    return {
        "id": dataset_id,
        "sha256": images.digest,
        "classes": list(images.classes),
        "shape": list(images.shape),
        "split": {name: {"images": len(part), "sha256": digests[name]} for name, part in vars(split).items()},
        "validation_share": _validation_share(prepared),
        "notes": list(prepared.notes),
    }


def _validation_share(prepared: Prepared) -> dict[str, float]:
    """The smallest and the largest share of validation images of a class."""
    images, split = prepared.images, prepared.split
    validation, everything = (
        torch.bincount(labels, minlength=len(images.classes)).double()
        for labels in (images.labels[split.validation], images.labels)
    )
    shares = validation / everything
    return {"least": float(shares.min()), "most": float(shares.max())}


def _tested(test: Score | None, best: EpochResult | None, average: Average | None) -> dict[str, Any] | None:
    """The test score with `optimism`, the test loss minus the validation loss of the model kept (nats)."""
    if test is None or best is None:
        return None
    return {**(_finite(test) or {}), "optimism": test.loss - (average or best).val_loss}


def _finite(result: EpochResult | Score | None) -> dict[str, Any] | None:
    if result is None:
        return None
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in asdict(result).items()}
