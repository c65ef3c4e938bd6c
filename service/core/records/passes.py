"""How much of a network the images of a run pass in an epoch."""

from service.core.spec import JobSpec
from service.core.spec.features import keeps_features
from service.core.spec.models import is_frozen

TRAINED = 3.0  # a forward pass, and two products of its size backward; scores of one view are small beside them
VIEWS = {"none": 1, "mirror": 2, "mirror_shift": 6}  # of an image that is scored, by test_time_augmentation


def passes(spec: JobSpec, train: int, validation: int) -> float:
    """The forward passes through the network that an epoch takes for each training image, the mean over the epochs of
    the spec. A backward pass counts as two.

    `train` and `validation` are numbers of images.
    """
    scored = (validation + min(validation, train) * spec.train_loss_clean) / max(1, train)
    more_views = (VIEWS[spec.test_time_augmentation] - 1) * scored
    frozen = _frozen_epochs(spec)
    of_step = TRAINED * (2 if spec.regularization.sam_rho else 1)
    trained = (spec.epochs - frozen) * (of_step + more_views)
    if frozen and keeps_features(spec, 1):
        return (trained + max(1, spec.model.cached_views) + scored) / spec.epochs
    return (trained + frozen * (1 + more_views)) / spec.epochs


def _frozen_epochs(spec: JobSpec) -> int:
    """The epochs that train the last layer only: all, none, or those before `unfreeze_epoch`."""
    if not is_frozen(spec.model, 1):
        return 0
    return spec.epochs if is_frozen(spec.model, spec.epochs) else spec.model.unfreeze_epoch - 1
