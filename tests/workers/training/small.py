"""Small real runs on the digits."""

from typing import Any

import torch
from torch import nn

from service.core.spec import JobSpec
from workers.training.data.prepare import OnDevice, prepare
from workers.training.loop import EpochResult, Fitted, Parts, fit
from workers.training.models import build_model


def spec(**changes: Any) -> JobSpec:
    """A small job on 200 digits; keyword arguments replace whole parts of it."""
    small = {"dataset": {"id": "digits", "train_limit": 200}, "model": {"arch": "mlp", "hidden": [16]}, "epochs": 3}
    return JobSpec.from_dict(small | changes).filled(7)


def data(given: JobSpec) -> OnDevice:
    return prepare(given).on(torch.device("cpu"))


def parts(given: JobSpec) -> Parts:
    found = data(given)
    split = found.prepared.split
    clean = found.batches(found.prepared.clean) if given.train_loss_clean else None
    return Parts(found.batches(split.train), found.batches(split.validation), clean)


def network(given: JobSpec) -> nn.Module:
    return build_model(given, (1, 8, 8), 10)


def trained(given: JobSpec) -> tuple[nn.Module, Fitted, list[EpochResult]]:
    model, results = network(given), list[EpochResult]()
    return model, fit(model, parts(given), given, results.append), results
