"""When a run trains on the inputs of the last layer, which are computed once and kept."""

from dataclasses import replace

from service.core.spec.architectures import ARCHITECTURES
from service.core.spec.augmentation import Augmentation
from service.core.spec.job import JobSpec
from service.core.spec.layers import Dropout, Dropout2d, Linear
from service.core.spec.models import Torchvision, is_frozen
from service.core.spec.networks import layers_of


def keeps_features(spec: JobSpec, epoch: int) -> bool:
    """Whether the images pass the frozen layers once, and this epoch, counted from 1, trains on what comes out.

    All layers but the last must be frozen, and the images or their views the same in each epoch. Several processes keep
    no features, since they average gradients by way of the whole network. Test-time augmentation needs the images.
    """
    are_same = bool(spec.model.cached_views) or not is_augmented(spec)
    scores_features = spec.test_time_augmentation == "none" and spec.gpus == 1
    may_keep = are_same and not is_mixed(spec) and scores_features
    return is_frozen(spec.model, epoch) and may_keep and has_fixed_features(spec)


def has_fixed_features(spec: JobSpec) -> bool:
    """Whether the network ends with a linear layer, and its frozen layers draw no random numbers.

    Dropout right before the last layer does not count: it is applied to the kept features.
    """
    if isinstance(spec.model, Torchvision):
        known = ARCHITECTURES[spec.model.arch]
        return known.ends_linear and not (known.drops_within and spec.regularization.dropout)
    *before, last = layers_of(spec) or ()
    if before and isinstance(before[-1], Dropout):
        before.pop()
    drops = any(isinstance(layer, Dropout | Dropout2d) and layer.p for layer in before)
    return isinstance(last, Linear) and not drops


def is_mixed(spec: JobSpec) -> bool:
    """Whether training images are mixed with others."""
    return bool(spec.regularization.mixup_alpha or spec.regularization.cutmix_alpha)


def is_augmented(spec: JobSpec) -> bool:
    """Whether training images are changed, at random or in turn."""
    return replace(spec.augmentation, normalize=True) != Augmentation()
