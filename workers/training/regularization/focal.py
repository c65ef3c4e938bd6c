"""Focal loss: images that the model is sure of count less.

Lin, Goyal, Girshick, He and Dollár, "Focal Loss for Dense Object Detection" (2017).
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from workers.training.regularization.class_weights import class_weights
from workers.training.regularization.hooks import OFF, Hooks, Mixed, Setup

TINY = torch.finfo(torch.float32).eps  # least 1 - p: for gamma below 1, the slope of (1 - p)^gamma is infinite at 0


def focal(setup: Setup) -> Hooks:
    """The data loss if `loss` is focal, with `focal_gamma`, `label_smoothing` and `class_weights`."""
    options = setup.spec.regularization
    if options.loss != "focal":
        return OFF
    weights = class_weights(setup)
    return Hooks(
        loss=lambda logits, batch: focal_loss(logits, batch, options.focal_gamma, options.label_smoothing, weights)
    )


def focal_loss(
    logits: Tensor, batch: Mixed, gamma: float, label_smoothing: float = 0.0, class_weights: Tensor | None = None
) -> Tensor:
    """Mean over the images of -sum over classes c of w_c * q_c * (1 - p_c)^gamma * log p_c, in nats.

    p = softmax(logits) and q = (1 - s) * target + s / K: the batch's mixed target with label smoothing s. Without
    mixing and smoothing it is the loss of the paper, -(1 - p)^gamma * log p for the label's class, and with weights its
    alpha-balanced form. Gamma 0 gives cross entropy. logits [N, K], gamma 0 or more, s from 0 to below 1, weights [K].
    """
    log_p = F.log_softmax(logits, 1, dtype=torch.float32)
    terms = -((-torch.expm1(log_p)).clamp_min(TINY) ** gamma) * log_p
    if class_weights is not None:
        terms = terms * class_weights
    loss = terms.gather(1, batch.labels[:, None]).mean()
    if batch.share != 1:
        loss = batch.share * loss + (1 - batch.share) * terms.gather(1, batch.other_labels[:, None]).mean()
    return (1 - label_smoothing) * loss + label_smoothing * terms.mean() if label_smoothing else loss
