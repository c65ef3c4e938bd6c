"""The operations of the augmentation policies by torchvision, for one image, and pictures to apply them to."""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as transforms

from tests.workers.training.small import seeded
from workers.training.data.augmentation.operations import OPERATIONS

NAMES = list(OPERATIONS)
STAY: dict[str, object] = {"angle": 0.0, "translate": [0, 0], "scale": 1.0, "shear": [0.0, 0.0]}
Reference = Callable[[Tensor, float], Tensor]


def sheared(image: Tensor, x: float, y: float) -> Tensor:
    shear = [math.degrees(math.atan(x)), math.degrees(math.atan(y))]
    return Tensor(transforms.affine(image, **STAY | {"shear": shear}, center=[0, 0]))


def translated(image: Tensor, x: float, y: float) -> Tensor:
    return Tensor(transforms.affine(image, **STAY | {"translate": [int(x), int(y)]}))


def colored(image: Tensor, m: float) -> Tensor:
    return Tensor(transforms.adjust_saturation(image, 1 + m)) if len(image) == 3 else image


REFERENCE: dict[str, Reference] = {
    "identity": lambda image, m: image,
    "shear_x": lambda image, m: sheared(image, m, 0),
    "shear_y": lambda image, m: sheared(image, 0, m),
    "translate_x": lambda image, m: translated(image, m, 0),
    "translate_y": lambda image, m: translated(image, 0, m),
    "rotate": transforms.rotate,
    "brightness": lambda image, m: transforms.adjust_brightness(image, 1 + m),
    "color": colored,
    "contrast": lambda image, m: transforms.adjust_contrast(image, 1 + m),
    "sharpness": lambda image, m: transforms.adjust_sharpness(image, 1 + m),
    "posterize": lambda image, m: transforms.posterize(image, int(m)),
    "solarize": lambda image, m: transforms.solarize(image, 255 * m),
    "autocontrast": lambda image, m: transforms.autocontrast(image),
    "equalize": lambda image, m: transforms.equalize(image),
}


def pictures(n: int, channels: int = 3, height: int = 18, width: int = 20) -> Tensor:
    """Smooth images like photographs; every second one uses the whole range, and the last one is constant."""
    coarse = torch.rand(n, channels, 4, 4, generator=seeded(9)) * 200 + 20
    images = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear").to(torch.uint8)
    images[1::2, :, 0, 0], images[1::2, :, -1, -1], images[-1] = 0, 255, 77
    return images
