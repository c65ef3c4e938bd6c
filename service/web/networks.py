"""The networks that the form offers, in groups by their size."""

from collections.abc import Mapping
from functools import cache

from service.core.spec.architectures import ARCHITECTURES

CLASSES, CHANNELS, SIDE = 10, 3, 224  # of the images that the numbers of parameters are for
SMALL, LARGE = 6_000_000, 30_000_000  # parameters up to which a network is small, and above which it is large
MILLION = 1_000_000
OWN = {
    "cnn": "cnn: convolutions, good for small pictures",
    "mlp": "mlp: fully connected",
    "layers": "layers of your own",
}


@cache
def networks() -> Mapping[str, Mapping[str, str]]:
    """By the name of the group, the networks with words for each: the small ones first."""
    sizes = {name: known.parameters(CHANNELS, SIDE, SIDE, CLASSES) for name, known in ARCHITECTURES.items()}
    ordered = sorted(sizes, key=sizes.__getitem__)
    groups: dict[str, dict[str, str]] = {"Trained from nothing": OWN, "Small": {}, "Medium": {}, "Large": {}}
    for name in ordered:
        size = sizes[name]
        group = "Small" if size <= SMALL else "Medium" if size <= LARGE else "Large"
        groups[group][name] = f"{name}, {size / MILLION:.1f} M parameters"
    return groups
