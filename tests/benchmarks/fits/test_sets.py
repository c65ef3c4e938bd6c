"""The images of the comparison: sizes of the parts, what the seed draws, and the upload."""

import io
import zipfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.benchmarks.fits.colours import class_sizes
from tests.benchmarks.fits.sets import FASHION, SETS, ImageSet, write_zip

POOLS, TESTS = {"digits": 375, "fashion": 1_875, "colour": 1_236}, {"digits": 1_422, "fashion": 10_000, "colour": 2_000}


@cache
def drawn(name: str, seed: int) -> ImageSet:
    if name == "fashion" and not FASHION.exists():
        pytest.skip("Debian's package dataset-fashion-mnist is not installed")
    return SETS[name](seed)


def pool(images: ImageSet) -> set[bytes]:
    """The images for training and validation, whichever of the two they are for."""
    return {picture.tobytes() for part in (images.train, images.validation) for picture in part}


@pytest.mark.parametrize("name", SETS)
def test_parts_have_their_sizes_and_every_class(name: str) -> None:
    images = drawn(name, 0)
    assert len(images.train) + len(images.validation) == POOLS[name]
    assert len(images.test) == TESTS[name]
    assert len(images.validation) == pytest.approx(0.2 * POOLS[name], abs=3)
    for pixels, labels in (
        (images.train, images.train_labels),
        (images.validation, images.validation_labels),
        (images.test, images.test_labels),
    ):
        assert len(pixels) == len(labels)
        assert pixels.dtype == np.uint8
        assert set(labels) == set(range(images.test_labels.max() + 1))


@pytest.mark.parametrize("name", SETS)
def test_seed_draws_the_pool(name: str) -> None:
    images, other = drawn(name, 0), drawn(name, 1)
    assert np.array_equal(images.train, SETS[name](0).train)
    assert pool(images) != pool(other)


def test_no_digit_is_in_two_parts() -> None:
    images = drawn("digits", 0)
    counted = [len(part) for part in (images.train, images.validation, images.test)]
    assert sum(counted) == 1_797
    everything = np.concatenate([images.train, images.validation, images.test]).reshape(1_797, -1)
    assert len(np.unique(everything, axis=0)) == 1_797


def test_colour_classes_are_uneven_in_every_part() -> None:
    images = drawn("colour", 0)
    pool = np.bincount(images.train_labels) + np.bincount(images.validation_labels)
    assert pool.tolist() == class_sizes().tolist()
    assert (pool[0], pool[-1]) == (400, 20)
    assert np.bincount(images.test_labels) / 2_000 == pytest.approx(pool / pool.sum(), abs=0.001)


def test_colour_test_images_are_the_same_for_every_seed() -> None:
    assert np.array_equal(drawn("colour", 0).test, drawn("colour", 1).test)


@pytest.mark.parametrize("name", ["digits", "colour"])
def test_upload_holds_the_images_but_those_of_the_test(name: str, tmp_path: Path) -> None:
    images = drawn(name, 0)
    write_zip(images, tmp_path / "images.zip")
    with zipfile.ZipFile(tmp_path / "images.zip") as archive:
        members = archive.namelist()
        last = Image.open(io.BytesIO(archive.read(members[-1])))
    assert len(members) == len(images.train) + len(images.validation)
    assert members[-1].startswith(f"{images.validation_labels[-1]}/val")
    pixels = np.asarray(last)
    assert np.array_equal(pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1), images.validation[-1])
