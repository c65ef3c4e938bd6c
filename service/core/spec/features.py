"""When a run trains on the inputs of the last layer, which are computed once and kept."""

from dataclasses import replace

from service.core.spec.augmentation import Augmentation
from service.core.spec.job import JobSpec
from service.core.spec.models import is_frozen


def keeps_features(spec: JobSpec, epoch: int) -> bool:
    """Whether the images pass the frozen layers once, and this epoch, counted from 1, trains on what comes out.

    All layers but the last must be frozen, and the images or their views the same in each epoch. Several processes keep
    no features, since they average gradients by way of the whole network. Test-time augmentation needs the images. The
    network itself must allow it too: it ends with a linear layer and draws no random numbers before it.
    """
    are_same = bool(spec.model.cached_views) or not is_augmented(spec)
    scores_features = spec.test_time_augmentation == "none" and spec.gpus == 1
    return is_frozen(spec.model, epoch) and are_same and not is_mixed(spec) and scores_features


def is_mixed(spec: JobSpec) -> bool:
    """Whether training images are mixed with others."""
    return bool(spec.regularization.mixup_alpha or spec.regularization.cutmix_alpha)


def is_augmented(spec: JobSpec) -> bool:
    """Whether training images are changed, at random or in turn."""
    return replace(spec.augmentation, normalize=True) != Augmentation()
