"""The images of the benchmark: scikit-learn's digits, and synthetic ones that are hard enough to tell epochs apart."""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.uint8]  # [N, 1, height, width]
Labels = NDArray[np.int64]  # [N]

CLASSES = 10
SIDE = 28
TRAIN, VALIDATION = 20_000, 4_000
PROTOTYPES = 4  # base images of a class
SMOOTHNESS = 0.12  # cycles a pixel at which the spectrum of a prototype has fallen to 60 %
SHIFT = 4  # pixels at most, in each direction, around the edge
CONTRAST = (0.5, 1.5)
OTHERS = (0.0, 0.75)  # share of a foreign prototype that is mixed in
NOISE = 0.9
GREY, SWING = 128, 40  # a value of 0, and of 1, as a pixel
CHUNK = 2_000  # images at a time, to need little memory


def synthetic(count: int, seed: int) -> tuple[Images, Labels]:
    """`count` images [count, 1, 28, 28] of ten classes; the classes look the same for every seed."""
    prototypes = _smooth_fields(CLASSES * PROTOTYPES, np.random.default_rng(0))
    random = np.random.default_rng([1, seed])
    labels = random.integers(CLASSES, size=count)
    chunks = [_images(prototypes, labels[start : start + CHUNK], random) for start in range(0, count, CHUNK)]
    return np.concatenate(chunks), labels


def _images(prototypes: NDArray[np.float64], labels: Labels, random: np.random.Generator) -> Images:
    count = len(labels)
    own = labels * PROTOTYPES + random.integers(PROTOTYPES, size=count)
    foreign = (own + random.integers(PROTOTYPES, len(prototypes) - PROTOTYPES, size=count)) % len(prototypes)
    contrast = random.uniform(*CONTRAST, size=(count, 1, 1))
    share = random.uniform(*OTHERS, size=(count, 1, 1))
    noise = random.normal(0, NOISE, size=(count, SIDE, SIDE))
    values = contrast * _shifted(prototypes[own], random) + share * _shifted(prototypes[foreign], random) + noise
    return np.clip(np.rint(GREY + SWING * values), 0, 255).astype(np.uint8)[:, None]


def _shifted(fields: NDArray[np.float64], random: np.random.Generator) -> NDArray[np.float64]:
    """Each field [count, 28, 28] rolled by a shift of its own."""
    down, right = random.integers(-SHIFT, SHIFT + 1, size=(2, len(fields), 1))
    rows, columns = (np.arange(SIDE) - down) % SIDE, (np.arange(SIDE) - right) % SIDE
    shifted: NDArray[np.float64] = fields[np.arange(len(fields))[:, None, None], rows[:, :, None], columns[:, None, :]]
    return shifted


def _smooth_fields(count: int, random: np.random.Generator) -> NDArray[np.float64]:
    """White noise through a Gaussian low pass, mean 0 and standard deviation 1 each: [count, 28, 28]."""
    frequency = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE)[None])
    spectrum = np.fft.rfft2(random.normal(size=(count, SIDE, SIDE))) * np.exp(-((frequency / SMOOTHNESS) ** 2) / 2)
    fields: NDArray[np.float64] = np.fft.irfft2(spectrum, s=(SIDE, SIDE))
    fields -= fields.mean((1, 2), keepdims=True)
    fields /= fields.std((1, 2), keepdims=True)
    return fields


def digits() -> tuple[Images, Labels]:
    """All 1,797 digits [1797, 1, 8, 8], the counts 0 to 16 spread over 0 to 255."""
    from sklearn.datasets import load_digits  # noqa: PLC0415 - slow to import, and the other job does without

    pixels, labels = load_digits(return_X_y=True)
    return np.rint(pixels * (255 / 16)).astype(np.uint8).reshape(-1, 1, 8, 8), labels.astype(np.int64)


def split(images: Images, labels: Labels, share: float, seed: int) -> tuple[Images, Labels, Images, Labels]:
    """Training images and labels, validation images and labels: `share` of each class is for validation."""
    random = np.random.default_rng(seed)
    held_out = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        members = random.permutation(np.flatnonzero(labels == label))
        held_out[members[: round(len(members) * share)]] = True
    return images[~held_out], labels[~held_out], images[held_out], labels[held_out]


def make(job: str, path: Path, train: int, validation: int) -> None:
    """Write the npz of a job (cnn or digits). The digits are as many as they are."""
    if job == "digits":
        images, labels, held_out, held_out_labels = split(*digits(), share=0.2, seed=0)
    else:
        images, labels = synthetic(train, seed=0)
        held_out, held_out_labels = synthetic(validation, seed=1)
    np.savez(
        path, train_images=images, train_labels=labels, validation_images=held_out, validation_labels=held_out_labels
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--job", choices=("cnn", "digits"), default="cnn")
    parser.add_argument("--path", type=Path, required=True)
    parser.add_argument("--train", type=int, default=TRAIN)
    parser.add_argument("--validation", type=int, default=VALIDATION)
    given = parser.parse_args()
    make(given.job, given.path, given.train, given.validation)


if __name__ == "__main__":
    main()
