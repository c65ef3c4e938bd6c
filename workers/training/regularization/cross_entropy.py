"""Cross entropy for mixed targets, with label smoothing and class weights.

Szegedy, Vanhoucke, Ioffe, Shlens and Wojna, "Rethinking the Inception Architecture for Computer Vision" (2016),
section 7.
"""

from torch import Tensor
from torch.nn import functional as F

from workers.training.regularization.class_weights import class_weights
from workers.training.regularization.hooks import OFF, Hooks, Mixed, Setup


def cross_entropy(setup: Setup) -> Hooks:
    """The data loss if `loss` is cross_entropy, with `label_smoothing` and `class_weights`."""
    options = setup.spec.regularization
    if options.loss != "cross_entropy":
        return OFF
    weights = class_weights(setup)

    def loss(logits: Tensor, batch: Mixed) -> Tensor:
        smoothing = options.label_smoothing
        return mixed_cross_entropy(logits, batch.labels, batch.other_labels, batch.share, smoothing, weights)

    return Hooks(loss=loss)


def mixed_cross_entropy(
    logits: Tensor,
    labels: Tensor,
    other_labels: Tensor,
    share: float = 1.0,
    label_smoothing: float = 0.0,
    class_weights: Tensor | None = None,
) -> Tensor:
    """Mean over the images of -sum over classes c of w_c * q_c * log softmax(logits)_c, in nats.

    The mixed target is share * onehot(labels) + (1 - share) * onehot(other_labels). Label smoothing s gives
    q = (1 - s) * target + s / K. The mean is not divided by the weights of the batch, because their mean over the
    training images is 1. logits [N, K], labels int64 [N], share from 0 to 1, s from 0 to below 1, weights [K]. With
    share 1 the other labels are unused.
    """
    loss = _cross_entropy(logits, labels, label_smoothing, class_weights)
    if share == 1:
        return loss
    return share * loss + (1 - share) * _cross_entropy(logits, other_labels, label_smoothing, class_weights)


def _cross_entropy(logits: Tensor, labels: Tensor, smoothing: float, weights: Tensor | None) -> Tensor:
    if weights is None:
        return F.cross_entropy(logits, labels, label_smoothing=smoothing)
    total = F.cross_entropy(logits, labels, weights, reduction="sum", label_smoothing=smoothing)
    return total / len(logits)
