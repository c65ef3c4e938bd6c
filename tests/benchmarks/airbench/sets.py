"""CIFAR-10 from its binary archive, and pictures that code draws in its shape: 32x32, in colour, ten classes."""

import tarfile
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from tests.benchmarks.fits import colours
from workers.training.data.images import ImageSet

CLASSES, SIDE, CHANNELS = 10, 32, 3
RECORD = 1 + CHANNELS * SIDE**2  # bytes: the label, then the planes of red, green and blue
TRAIN, VALIDATION = 0, 1  # parts of the split


def drawn(train: int, validation: int, seed: int) -> ImageSet:
    """Shapes with textures (`colours`) in nine classes, and two of them blended in the tenth, evenly many of each."""
    random = np.random.default_rng(seed)
    count = train + validation
    labels = np.arange(count) % CLASSES
    shapes = np.where(labels < colours.CLASSES, labels, random.integers(0, colours.CLASSES, count))
    others = random.integers(0, colours.CLASSES, count)
    images, second = colours.drawn(shapes, random), colours.drawn(others, random)
    is_blend = labels == colours.CLASSES
    images[is_blend] = images[is_blend] // 2 + second[is_blend] // 2
    return _images(images, labels, train)


def cifar10(archive: Path, train: int | None = None) -> ImageSet:
    """CIFAR-10 (Krizhevsky, 2009) from cifar-10-binary.tar.gz: the first `train` training images, None for all of
    them. Its test images are for validation.
    """
    with tarfile.open(archive) as files:
        parts = {Path(member.name).stem: files.extractfile(member) for member in files if member.name.endswith(".bin")}
        raw = {name: np.frombuffer(file.read(), np.uint8).reshape(-1, RECORD) for name, file in parts.items() if file}
    training = np.concatenate([raw[f"data_batch_{number}"] for number in range(1, 6)])[:train]
    records = np.concatenate([training, raw["test_batch"]])
    return _images(records[:, 1:].reshape(-1, CHANNELS, SIDE, SIDE), records[:, 0].astype(np.int64), len(training))


def training_images(images: ImageSet) -> int:
    """The number of images to train on."""
    return len(images) if images.parts is None else int(torch.eq(images.parts, TRAIN).sum())


def _images(images: NDArray[np.uint8], labels: NDArray[np.int64], train: int) -> ImageSet:
    """The first `train` images train, the others validate."""
    parts = torch.full((len(labels),), VALIDATION, dtype=torch.int8)
    parts[:train] = TRAIN
    names = tuple(str(label) for label in range(CLASSES))
    stored = torch.from_numpy(np.ascontiguousarray(images))
    return ImageSet(stored, torch.from_numpy(labels.astype(np.int64)), names, parts=parts)
