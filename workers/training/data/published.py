"""Published data sets, by torchvision's loaders: downloaded and decoded once into a folder that all runs share."""

import fcntl
import math
import urllib.error
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torchvision import datasets

from service.core.errors import DatasetUnavailable
from service.core.records.builtin_datasets import CONTENTS_OF
from service.core.system import durable_file
from workers.training.data.images import ImageSet
from workers.training.data.mapped import MakeRoom, anywhere, mapped
from workers.training.data.split import TEST, TRAIN

INDEX = ".{name}.decoded-1.npz"  # the number changes with the way of decoding
PIXELS = ".bin"  # the pixels, uint8 [N, H, W, C], beside their index
SETS: dict[str, Any] = {
    "mnist": datasets.MNIST,
    "fashion-mnist": datasets.FashionMNIST,
    "cifar10": datasets.CIFAR10,
    "cifar100": datasets.CIFAR100,
}


def load(name: str, library: Path, make_room: MakeRoom = anywhere) -> ImageSet:
    """The published training and test images, which keep their parts (uint8 [N, C, H, W]).

    Raises DatasetUnavailable if the files are not in the library and cannot be downloaded, and DiskFull.
    """
    library.mkdir(parents=True, exist_ok=True)
    index = library / INDEX.format(name=name)
    if not index.exists():
        with (library / f".{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # two runs must not download at the same time
            if not index.exists():
                _write(_decoded(name, library), index, make_room)
    with np.load(index, allow_pickle=False) as stored:
        shape, digest = stored["shape"].tolist(), str(stored["digest"])
        labels, parts = (torch.from_numpy(stored[column]) for column in ("labels", "parts"))
    file = str(index.with_suffix(PIXELS))
    pixels = torch.from_file(file, shared=False, size=math.prod(shape), dtype=torch.uint8).view(shape)
    images = pixels.permute(0, 3, 1, 2)
    return ImageSet(images, labels, CONTENTS_OF[name].classes, parts=parts, known_digest=digest)


def _decoded(name: str, library: Path) -> ImageSet:
    """The set by torchvision. Raises DatasetUnavailable."""
    try:
        parts = [SETS[name](library, train=train, download=True) for train in (True, False)]
    except (urllib.error.URLError, OSError, RuntimeError) as error:
        raise DatasetUnavailable(
            f"this worker does not have {name}, and it cannot be downloaded: {error}. "
            f"Give the worker access to the network, or put torchvision's files of {name} into {library}"
        ) from error
    images = torch.cat([_channels_last(part.data) for part in parts])
    labels = torch.cat([torch.as_tensor(part.targets, dtype=torch.int64) for part in parts])
    divided = torch.cat(
        [torch.full((len(part.data),), code, dtype=torch.int8) for part, code in zip(parts, (TRAIN, TEST), strict=True)]
    )
    return ImageSet(images.permute(0, 3, 1, 2), labels, CONTENTS_OF[name].classes, parts=divided)


def _write(images: ImageSet, index: Path, make_room: MakeRoom) -> None:
    """Write the pixels, and then the file `index` with all else. Raises OSError and DiskFull."""
    pixels = images.stored.permute(0, 2, 3, 1)
    mapped(index.with_suffix(PIXELS), images.nbytes, lambda empty: empty.view(pixels.shape).copy_(pixels), make_room)
    with durable_file(index) as file:
        np.savez(
            file,
            shape=np.array(pixels.shape),
            digest=np.array(images.digest),
            labels=images.labels.numpy(),
            parts=np.asarray(images.parts),
        )


def _channels_last(data: Any) -> torch.Tensor:
    """uint8 [N, H, W, C] from torchvision's tensors [N, H, W] or arrays [N, H, W, C]."""
    images = torch.as_tensor(data)
    return images.unsqueeze(-1) if images.ndim == 3 else images  # noqa: PLR2004
