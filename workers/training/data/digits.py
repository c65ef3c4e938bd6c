"""The data set `digits` of scikit-learn: 1,797 handwritten digits of 8x8 pixels.

Alpaydin and Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository (1998).
"""

from importlib.metadata import distribution

import numpy as np
import torch

from workers.training.data.images import ImageSet

STEPS = 16  # the largest value of a pixel in scikit-learn's data
DISTRIBUTION, FILE = "scikit-learn", "sklearn/datasets/data/digits.csv.gz"  # a row: 64 pixels and the label


def load() -> ImageSet:
    """Images [1797, 1, 8, 8], with scikit-learn's values 0 to 16 scaled to 0 to 255.

    The file is read without importing scikit-learn: the import costs more time than a small training.
    """
    path = distribution(DISTRIBUTION).locate_file(FILE)
    rows = torch.from_numpy(np.loadtxt(str(path), delimiter=","))
    images = rows[:, :-1].mul(255 / STEPS).round().to(torch.uint8).view(-1, 1, 8, 8)
    return ImageSet(images, rows[:, -1].long(), tuple("0123456789"))
