"""The data sets of the comparison. A seed draws the images for training and validation, and their split.

The test images choose nothing: no system gets them before its time is over, and none gets their labels.
"""

import gzip
import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from tests.benchmarks import data
from tests.benchmarks.fits import colours
from tests.benchmarks.fits.colours import Labels, Pixels

FASHION = Path("/usr/share/datasets/fashion-mnist")  # of Debian's package dataset-fashion-mnist
DIGITS_POOL, FASHION_POOL = 375, 1_875  # images for training and validation
VALIDATION_SHARE = 0.2  # of each class of the pool
COLOURS_FOR_TEST = 1_000_000  # a seed of the generator that no run has


@dataclass(frozen=True)
class ImageSet:
    """Images uint8 [N, channels, height, width] and labels int64 [N] of the three parts."""

    train: Pixels
    train_labels: Labels
    validation: Pixels
    validation_labels: Labels
    test: Pixels
    test_labels: Labels


def digits(seed: int) -> ImageSet:
    """Digits of scikit-learn, 8x8: 300 for training, 75 for validation, the other 1,422 for the test."""
    images, labels = data.digits()
    order = np.random.default_rng(seed).permutation(len(labels))
    pool, rest = order[:DIGITS_POOL], order[DIGITS_POOL:]
    return _divided(images[pool], labels[pool], images[rest], labels[rest], seed)


def fashion(seed: int) -> ImageSet:
    """Fashion-MNIST (Xiao et al., 2017), 28x28: 1,500 for training, 375 for validation, its 10,000 test images."""
    images, labels = _fashion_part("train")
    pool = np.random.default_rng(seed).permutation(len(labels))[:FASHION_POOL]
    return _divided(images[pool], labels[pool], *_fashion_part("t10k"), seed)


def colour(seed: int) -> ImageSet:
    """Drawn colour pictures, 32x32, of nine classes with 400 to 20 images; 2,000 test images in the same shares."""
    labels = np.repeat(np.arange(colours.CLASSES), colours.class_sizes())
    images = colours.drawn(labels, np.random.default_rng(seed))
    test_labels = colours.labels_for_test()
    test = colours.drawn(test_labels, np.random.default_rng(COLOURS_FOR_TEST))
    return _divided(images, labels, test, test_labels, seed)


SETS: dict[str, Callable[[int], ImageSet]] = {"digits": digits, "fashion": fashion, "colour": colour}


def write_zip(images: ImageSet, path: Path) -> None:
    """The images for training and validation as PNG files by class, `3/train-17.png`, for an upload.

    Rightfit divides them itself: a person who sends data has no parts yet.
    """
    parts = {
        "train": (images.train, images.train_labels),
        "val": (images.validation, images.validation_labels),
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for part, (pixels, labels) in parts.items():
            for number, (picture, label) in enumerate(zip(pixels, labels, strict=True)):
                archive.writestr(f"{label}/{part}-{number}.png", _png(picture))


def write_arrays(images: ImageSet, path: Path) -> None:
    """The images for training and validation as an npz file."""
    np.savez(
        path,
        train_images=images.train,
        train_labels=images.train_labels,
        validation_images=images.validation,
        validation_labels=images.validation_labels,
    )


def _png(picture: Pixels) -> bytes:
    """A picture [1 or 3, height, width] as a gray or a colour PNG."""
    target = io.BytesIO()
    Image.fromarray(picture[0] if len(picture) == 1 else picture.transpose(1, 2, 0)).save(target, "PNG")
    return target.getvalue()


def _fashion_part(name: str) -> tuple[Pixels, Labels]:
    pixels, labels = (
        gzip.decompress((FASHION / f"{name}-{file}-ubyte.gz").read_bytes()) for file in ("images-idx3", "labels-idx1")
    )
    return np.frombuffer(pixels, np.uint8, offset=16).reshape(-1, 1, 28, 28), np.frombuffer(
        labels, np.uint8, offset=8
    ).astype(np.int64)


def _divided(images: Pixels, labels: Labels, test: Pixels, test_labels: Labels, seed: int) -> ImageSet:
    return ImageSet(*data.split(images, labels, VALIDATION_SHARE, seed), test, test_labels)
