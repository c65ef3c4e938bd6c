"""The options of a network that starts from weights. Each kind of network has them, declared here once."""

from typing import Any

from service.core.spec.options import option

IMAGENET = "imagenet"  # torchvision's published weights
RELEASE = "0.2.0"


def weights_option() -> Any:
    """The option `weights` of a network."""
    return option(
        "start from these weights instead of random ones: the id of uploaded weights of this architecture, the id of a "
        "job with this network, whose best model is used, or imagenet, torchvision's best published weights. The last "
        "layer starts from random weights unless its classes are those of the data set; null: random weights",
        None,
        length=(1, 100),
        since=RELEASE,
    )
