"""The data set `digits` of scikit-learn: 1,797 handwritten digits of 8x8 pixels.

Alpaydin and Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository (1998).
"""

import torch
from sklearn.datasets import load_digits

from workers.training.data.images import ImageSet

STEPS = 16  # the largest value of a pixel in scikit-learn's data


def load() -> ImageSet:
    """Images [1797, 1, 8, 8], with scikit-learn's values 0 to 16 scaled to 0 to 255."""
    pixels, labels = load_digits(return_X_y=True)
    images = (torch.from_numpy(pixels).mul(255 / STEPS)).round().to(torch.uint8).view(-1, 1, 8, 8)
    return ImageSet(images, torch.from_numpy(labels).long(), tuple("0123456789"))
