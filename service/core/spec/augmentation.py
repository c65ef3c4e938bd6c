"""The options for random changes of the training images."""

from dataclasses import dataclass
from typing import Literal

from service.core.spec.options import option

ALTERNATING = "alternating"


@dataclass(frozen=True)
class RandAugment:
    """RandAugment (Cubuk et al., 2020)."""

    operations: int = option("number of random operations on each image, one after another", 2, minimum=1, maximum=8)
    magnitude: int = option("strength of each operation; 0: almost no change", 9, minimum=0, maximum=30)


@dataclass(frozen=True)
class Augmentation:
    """Random changes of the training images, drawn anew in each epoch. Only normalize also applies to scored images."""

    crop_padding: int = option(
        "pad each image with zeros by this width, then crop it at random to its size. Usual: 4 for 32x32 images",
        0,
        minimum=0,
        unit="pixels",
    )
    horizontal_flip: bool | Literal["alternating"] = option(
        "true: mirror each image left to right with probability one half. alternating: mirror each image in every "
        "second epoch (Jordan, 2024), so that in two epochs the model sees each image both ways",
        False,
        later={ALTERNATING: "0.2.0"},
    )
    rotation_degrees: float = option(
        "maximum angle of a random rotation to either side", 0.0, minimum=0, maximum=180, unit="degrees"
    )
    trivial_augment: bool = option(
        "TrivialAugment: one random operation of random strength on each image (Mueller and Hutter, 2021)", False
    )
    rand_augment: RandAugment | None = option(
        "RandAugment: random operations of one strength on each image; null: off", None
    )
    random_erasing: float = option(
        "probability of erasing a random rectangle of an image (Zhong et al., 2020)", 0.0, minimum=0, maximum=1
    )
    random_resized_crop: float | None = option(
        "crop each image to a random share of its area, at least this one, with a random ratio of its sides, and "
        "resize the crop to the size of the image (Szegedy et al., 2015). Usual for photographs: 0.08 for a million of "
        "them, 0.35 or more for few; null: off",
        None,
        minimum=0,
        maximum=1,
        open_below=True,
        since="0.2.0",
    )
    vertical_flip: bool = option("mirror each image top to bottom with probability one half", False, since="0.2.0")
    augmix: bool = option(
        "AugMix: mix each image with three chains of random operations on it, of low strength (Hendrycks et al., 2020)",
        False,
        since="0.2.0",
    )
    color_jitter: float = option(
        "scale brightness, contrast and saturation of each image by random factors between 1 minus this and 1 plus "
        "this. Usual for photographs: 0.2 to 0.4; 0: off",
        0.0,
        minimum=0,
        maximum=1,
        since="0.2.0",
    )
    normalize: bool = option(
        "subtract the mean of the training images and divide by their standard deviation, per channel", True
    )
