"""Weights of the smallest network of torchvision, in files that the tests upload."""

import io
from typing import Any

import torch
from torch import Tensor
from torchvision.models import get_model

ARCH = "squeezenet1_1"


def small_state(classes: int = 5, seed: int = 0) -> dict[str, Tensor]:
    """The state_dict of a network with random weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return dict(get_model(ARCH, num_classes=classes).state_dict())


def torch_file(content: Any) -> bytes:
    """What torch.save writes."""
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()
