"""Features of images for comparing them: equal distances mean equal likeness, measured by the spread within the set.

An image has three bands: its colours at 8x8 pixels, its details between 8x8 and 16x16 pixels, and those between 16x16
and 32x32 pixels. Each thumbnail has its mean removed and its contrast set to a fixed value, so that a change of
brightness does not count. The details are divided by their local strength (local contrast normalization, Jarrett et
al., "What is the best multi-stage architecture for object recognition?", ICCV 2009), so that shapes count more than
shades. Each value is then divided by its standard deviation over the set: the background of a fixed camera does not
make two frames alike, and what is left of them, such as noise, tells them apart.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from workers.datasets.ingest.prints import Prints

DIMENSIONS = 128  # of the features, after a random projection
CONTRAST = 50.0  # gray levels, the standard deviation that each thumbnail is brought to
FAINT = 2.0  # gray levels; a thumbnail with a smaller standard deviation is not compared
LOCAL_STRENGTH = 15.0  # gray levels at CONTRAST; weaker details are not strengthened
LEAST_SPREAD = 1.0  # gray levels at CONTRAST; values that spread less over the set are rounding errors
COLOUR_WEIGHT = 0.5  # to each of the two bands of details
SIZES = (192, 256, 1024)  # values of the bands
SAMPLE = 1024  # images at most whose spread stands for that of the set
CHUNK = 256  # images at a time; limits the memory

Values = NDArray[np.float32]


def features(prints: Prints, chosen: NDArray[np.int64]) -> Values:
    """float32 [n, DIMENSIONS] for the images `chosen`, int64 [n]. Two unrelated images are about 1.4 apart."""
    scale = 1 / _spread(prints, chosen)
    projection = np.random.default_rng(0).standard_normal((len(scale), DIMENSIONS), np.float32)
    projection *= (scale / np.sqrt(DIMENSIONS))[:, None]
    return np.concatenate([bands @ projection for bands in _chunks(prints, chosen)])


def is_faint(prints: Prints) -> NDArray[np.bool_]:
    """bool [N]: the thumbnail shows next to nothing."""
    gray = prints.gray
    chunks = [gray[i : i + CHUNK].std((1, 2)) < FAINT for i in range(0, len(gray), CHUNK)]
    return np.concatenate([np.zeros(0, np.bool_), *chunks])


def _spread(prints: Prints, chosen: NDArray[np.int64]) -> Values:
    """The standard deviation of each value of the bands, times the root of its band's size by weight: float32 [D]."""
    every = -(-len(chosen) // SAMPLE)
    deviation = np.concatenate(list(_chunks(prints, chosen[::every]))).std(0, dtype=np.float64)
    sizes, weights = np.repeat(SIZES, SIZES), np.repeat([COLOUR_WEIGHT, 1, 1], SIZES)
    norm = np.sqrt(sizes * (COLOUR_WEIGHT**2 + 2)) / weights
    spread: Values = (np.maximum(deviation, LEAST_SPREAD) * norm).astype(np.float32)
    return spread


def _chunks(prints: Prints, chosen: NDArray[np.int64]) -> Iterator[Values]:
    gray, colour = prints.gray, prints.colour
    for i in range(0, len(chosen), CHUNK):
        some = chosen[i : i + CHUNK]
        yield _bands(gray[some].astype(np.float32), colour[some].astype(np.float32))


def _bands(gray: Values, colour: Values) -> Values:
    """float32 [n, 1472] from thumbnails [n, 32, 32] and [n, 8, 8, 3]."""
    contrast = CONTRAST / np.maximum(gray.std((1, 2)), FAINT)[:, None, None]
    gray = (gray - gray.mean((1, 2), keepdims=True)) * contrast
    colour = (colour - colour.mean((1, 2), keepdims=True)) * contrast[..., None]
    middle = _halved(gray)
    coarse = _halved(middle)
    details = (_normalized(middle - _doubled(coarse)), _normalized(gray - _doubled(middle)))
    return np.concatenate([band.reshape(len(gray), -1) for band in (colour, *details)], axis=1)


def _halved(images: Values) -> Values:
    rows = images[:, ::2] + images[:, 1::2]
    halved = (rows[:, :, ::2] + rows[:, :, 1::2]) / 4
    return halved.astype(np.float32, copy=False)


def _doubled(images: Values) -> Values:
    return images.repeat(2, axis=1).repeat(2, axis=2)


def _normalized(band: Values) -> Values:
    """The band [n, s, s] divided by its root mean square over 3x3 pixels, and by 1 where it is weak."""
    padded = np.pad(np.square(band), ((0, 0), (1, 1), (1, 1)), mode="edge")
    rows = padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]
    energy = (rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:]) / 9
    return np.asarray(band / np.sqrt(1 + energy / LOCAL_STRENGTH**2), np.float32)
