"""The options of a network that starts from weights. Each kind of network has them, declared here once."""

from typing import Any, Literal

from service.core.spec.options import option

IMAGENET = "imagenet"  # the weights that torchvision or timm publishes
RELEASE = "0.2.0"
THEN_ALL = "then_all"
Freeze = Literal["none", "backbone", "then_all"]
FREEZE = (
    "backbone: train only the last layer; all other layers keep their weights. then_all: the same before "
    "unfreeze_epoch, then all layers (Kumar et al., 2022). none: train all layers"
)


def weights_option() -> Any:
    """The option `weights` of a network."""
    return option(
        "weights to start from: the id of uploaded weights of this architecture; the id of a job with this network, "
        "for its best model; or imagenet, for the best weights of torchvision or the usual weights of timm. The last "
        "layer starts from random weights unless its classes equal those of the data set; null: random weights",
        None,
        length=(1, 100),
        since=RELEASE,
    )


def freeze_option() -> Any:
    """The option `freeze` of a network that had none in release 0.1.0."""
    return option(FREEZE, "none", since=RELEASE)


def unfreeze_option() -> Any:
    """The option `unfreeze_epoch` of a network."""
    return option(
        "freeze then_all: the first epoch that trains all layers",
        6,
        minimum=2,
        unit="epochs",
        since=RELEASE,
        only_with=("freeze", THEN_ALL),
    )


def cached_views_option() -> Any:
    """The option `cached_views` of a network."""
    return option(
        "while all layers but the last are frozen, compute the inputs of the last layer for this number of augmented "
        "views of each training image once, and draw one view of each image in each epoch. 0: augment the images anew "
        "in each epoch. Usual: 5 to 20",
        0,
        minimum=0,
        maximum=1000,
        unit="views",
        since=RELEASE,
        needs=("freeze",),
    )


def layer_decay_option() -> Any:
    """The option `layer_decay` of a network."""
    return option(
        "each layer has this times the learning rate of the next layer. The last layer has the full rate, and a "
        "residual block is one layer. Usual: 0.65 to 0.9 for networks that start from weights (Bao et al., 2022); 1: "
        "the same rate for all layers",
        1.0,
        minimum=0,
        maximum=1,
        open_below=True,
        since=RELEASE,
    )
