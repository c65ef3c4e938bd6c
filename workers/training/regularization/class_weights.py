"""Class weights: every class has the same total weight in the loss, for any number of its images.

King and Zeng, "Logistic Regression in Rare Events Data" (2001).
"""

import torch
from torch import Tensor

from workers.training.regularization.hooks import Setup


def class_weights(setup: Setup) -> Tensor | None:
    """The weights of the classes, float32 [classes], on the device; None without the option `class_weights`."""
    if setup.spec.regularization.class_weights == "none":
        return None
    return balanced_weights(setup.labels, setup.classes).to(setup.device)


def balanced_weights(labels: Tensor, classes: int) -> Tensor:
    """The weight of each class c, float32 [classes]: n / (K * n_c).

    `labels` is int64 [n]; n_c of them are of class c, and K classes occur. The mean weight over the labels is 1. A
    class without labels has weight 0.
    """
    counts = torch.bincount(labels, minlength=classes)
    weights = len(labels) / (counts.count_nonzero() * counts).double()
    return torch.where(counts > 0, weights, 0.0).float()
