"""Weights that let every class count the same, however many images it has.

King and Zeng, "Logistic Regression in Rare Events Data" (2001).
"""

import torch
from torch import Tensor


def balanced_weights(labels: Tensor, classes: int) -> Tensor:
    """n / (K * n_c), float32 [classes]: n labels (int64 [n]), of which n_c are of class c; K classes occur.

    The mean weight of the labels is 1. A class without a label gets 0.
    """
    counts = torch.bincount(labels, minlength=classes)
    weights = len(labels) / (counts.count_nonzero() * counts).double()
    return torch.where(counts > 0, weights, 0.0).float()
