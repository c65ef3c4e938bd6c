"""Weights of the smallest network of torchvision, in files that the tests upload."""

import io
import os
import zipfile
from pathlib import Path
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


def compressed(data: bytes) -> bytes:
    """A file of torch.save, compressed: it can be far larger than it looks."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            target.writestr(name, source.read(name))
    return file.getvalue()


class Malicious:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self._path),)
