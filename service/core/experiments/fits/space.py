"""The space of a fit: which options it changes, and the values that they may take."""

import math

from service.core.experiments.recipes import LEAST_SHIFTED_SIDE, MOST_BLOCKS, doubling
from service.core.records.dataset import Contents
from service.core.records.fit_request import Range, Space
from service.core.records.plan import input_shape
from service.core.spec import Cnn, JobSpec, Mlp
from service.core.spec.augmentation import ALTERNATING

CHANNELS = "/model/channels"
WIDTHS = (16, 32, 48, 64, 96)  # channels of the first block; each further block has twice as many
LEAST_SIDE = 1  # pixels that the last block leaves
SHARE_OF_SHIFT = 8  # an image is shifted by at most one in so many of its pixels
# Batch sizes by the number of images, at most: few images need small batches for enough steps.
BATCHES = ((1_000, (16, 32, 64)), (10_000, (16, 32, 64, 128)), (math.inf, (32, 64, 128, 256)))


def automatic(spec: JobSpec, contents: Contents) -> Space:
    """The space for a base `spec` and the images of its data set. The kind of the network stays."""
    return {**_training(contents), **_regularization(), **_augmentation(spec, contents), **_network(spec, contents)}


def _training(contents: Contents) -> dict[str, Range]:
    batches = next(sizes for most, sizes in BATCHES if contents.samples <= most)
    return {
        "/optimizer/name": Range(choices=("adamw",)),
        "/optimizer/lr": Range(5e-4, 3e-2, log=True),
        "/batch_size": Range(choices=batches),
        "/schedule/name": Range(choices=("onecycle", "cosine")),
    }


def _regularization() -> dict[str, Range]:
    return {
        "/regularization/weight_decay": Range(1e-3, 0.5, log=True),
        "/regularization/dropout": Range(0.0, 0.5),
        "/regularization/label_smoothing": Range(choices=(0.0, 0.05)),
        "/regularization/mixup_alpha": Range(choices=(0.0, 0.2)),
        "/regularization/cutmix_alpha": Range(choices=(0.0, 1.0)),
        "/regularization/ema_decay": Range(choices=(None, 0.98, 0.995)),
    }


def _augmentation(spec: JobSpec, contents: Contents) -> dict[str, Range]:
    side = min(input_shape(spec, contents)[1:])
    shift = side // SHARE_OF_SHIFT
    space = {
        "/augmentation/horizontal_flip": Range(choices=(False, True, ALTERNATING)),
        "/augmentation/rotation_degrees": Range(choices=(0.0, 5.0, 10.0)),
        "/augmentation/random_erasing": Range(choices=(0.0, 0.25)),
    }
    if shift:
        space["/augmentation/crop_padding"] = Range(choices=tuple(range(shift + 1)))
    if side >= LEAST_SHIFTED_SIDE:
        space["/augmentation/trivial_augment"] = Range(choices=(False, True))
    return space


def _network(spec: JobSpec, contents: Contents) -> dict[str, Range]:
    if isinstance(spec.model, Mlp):
        return {"/model/hidden": Range(choices=([128], [256], [512], [256, 128], [512, 256]))}
    if not isinstance(spec.model, Cnn):
        return {}
    deepest = min(MOST_BLOCKS, int(math.log2(min(input_shape(spec, contents)[1:]) / LEAST_SIDE)))
    depths = range(min(2, max(1, deepest)), max(1, deepest) + 1)
    channels = [doubling(width, depth) for depth in depths for width in WIDTHS]
    return {
        CHANNELS: Range(choices=tuple(channels)),
        "/model/hidden": Range(choices=([], [128], [256])),
        "/model/norm": Range(choices=("batch", "none")),
    }
