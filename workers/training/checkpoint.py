"""The files of a run on disk: weights, checkpoints and reports. Each is written completely or not at all.

They need not survive a crash of the machine: the scratch folder of an attempt is deleted then, and the next attempt
starts from the copy in the storage. So no write waits for the disk.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor, nn

from service.core.system import whole_file

Weights = dict[str, Tensor]


def weights_of(model: nn.Module) -> Weights:
    """A copy of the model's state dict: contiguous CPU tensors that share no memory with the model."""
    return {
        name: tensor.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
        for name, tensor in model.state_dict().items()
    }


def save_tensors(path: Path, content: Mapping[str, Any]) -> None:
    """Write tensors and plain data in a form that `torch.load(path, weights_only=True)` can read."""
    write_file(path, lambda file: torch.save(content, file))


def load_tensors(path: Path) -> dict[str, Any]:
    """Read a file of `save_tensors`, onto the CPU."""
    content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return content


def save_json(path: Path, data: Mapping[str, Any]) -> None:
    """Write strict JSON. Raises ValueError for a non-finite number."""
    write_file(path, lambda file: file.write(json.dumps(data, indent=2, allow_nan=False).encode()))


def write_file(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file atomically; `write` gets it open for bytes."""
    with whole_file(path) as file:
        write(file)
