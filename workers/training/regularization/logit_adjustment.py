"""Logit-adjusted cross entropy: rare classes need a wider margin, so that the model learns the balanced error.

Menon, Jayasumana, Rawat, Jain, Veit and Kumar, "Long-tail learning via logit adjustment" (2021), section 5.
"""

import torch
from torch import Tensor

from workers.training.regularization.cross_entropy import mixed_cross_entropy
from workers.training.regularization.hooks import OFF, Hooks, Mixed, Setup


def logit_adjusted(setup: Setup) -> Hooks:
    """The data loss if `loss` is logit_adjusted, with `logit_adjustment` and `label_smoothing`.

    It is the cross entropy of logits + adjustment. The model itself returns its logits without the adjustment: as a
    classifier of a set with even classes would.
    """
    options = setup.spec.regularization
    if options.loss != "logit_adjusted":
        return OFF
    added = adjustment(setup.labels, setup.classes, options.logit_adjustment).to(setup.device)

    def loss(logits: Tensor, batch: Mixed) -> Tensor:
        smoothing = options.label_smoothing
        return mixed_cross_entropy(logits + added, batch.labels, batch.other_labels, batch.share, smoothing)

    return Hooks(loss=loss)


def adjustment(labels: Tensor, classes: int, tau: float) -> Tensor:
    """tau * log(n_c / n) for each class c, float32 [classes].

    `labels` is int64 [n]; n_c of them are of class c. A class without labels counts as if it had one, which keeps its
    logarithm finite. tau is 0 or more; 1 makes the loss consistent for the balanced error.
    """
    counts = torch.bincount(labels, minlength=classes).clamp_min(1)
    return (tau * (counts.double() / len(labels)).log()).float()
