"""Balanced sampling: training images are drawn so that every class is equally likely, for any number of its images.

Shen, Lin and Huang, "Relay Backpropagation for Effective Learning of Deep Convolutional Neural Networks" (2016).
"""

import torch
from torch import Tensor


def balanced_draws(labels: Tensor, random: torch.Generator) -> Tensor:
    """Positions in `labels`, int64 [n] as the labels are, drawn independently and with replacement.

    The label c of a position is each of the K classes that occur with probability 1 / K; then the position is each of
    the n_c with this label with probability 1 / n_c. Both tensors and the generator are on the CPU.
    """
    by_class, counts = labels.argsort(stable=True), torch.bincount(labels)
    first = counts.cumsum(0) - counts
    classes = counts.nonzero()[:, 0]
    drawn = classes[torch.randint(len(classes), (len(labels),), generator=random)]
    within = torch.rand(len(labels), dtype=torch.float64, generator=random) * counts[drawn]
    return by_class[first[drawn] + within.long()]
