"""Random brightness, contrast and saturation.

Krizhevsky, Sutskever and Hinton (2012) change the colours of training images; in this form it is from Howard, "Some
Improvements on Deep Convolutional Neural Network Based Image Classification" (2013).
"""

import torch
from torch import Tensor

from workers.training.data.augmentation import tones
from workers.training.data.augmentation.draws import uniform

TONES = (tones.brightness, tones.contrast, tones.color)  # in this order


def color_jitter(images: Tensor, strength: float, random: torch.Generator) -> Tensor:
    """Scale brightness, contrast and saturation of uint8 images [N, C, H, W], each by its own factor for each image.

    0 <= strength <= 1. The factors are uniform from 1 - strength to 1 + strength. Saturation needs RGB.
    """
    factors = uniform((len(TONES), len(images)), -strength, strength, random, images.device)
    for change, magnitudes in zip(TONES, factors, strict=True):
        images = change(images, magnitudes)
    return images
