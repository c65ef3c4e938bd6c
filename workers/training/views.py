"""Views of the images whose logits are averaged where a model is scored or used: test-time augmentation.

Krizhevsky, Sutskever and Hinton, "ImageNet Classification with Deep Convolutional Neural Networks" (2012), section 4.1;
the views and shares of `mirror_shift` are from Jordan, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU" (2024). A
function of views gets images [N, C, H, W] and returns shares, which add up to 1, with views of the same shape. Its
source becomes a part of model.py.
"""

import inspect
from collections.abc import Callable

from torch import Tensor, nn

NONE = "none"


def mirror(images: Tensor) -> list[tuple[float, Tensor]]:
    """Each image, and each mirrored left to right."""
    return [(0.5, images), (0.5, images.flip(3))]


def mirror_shift(images: Tensor) -> list[tuple[float, Tensor]]:
    """Each image, and each shifted by a pixel along one diagonal both ways, all of them also mirrored left to right."""
    padded = nn.functional.pad(images, (1, 1, 1, 1), mode="reflect")
    shares = [(0.25, images), (0.125, padded[:, :, :-2, :-2]), (0.125, padded[:, :, 2:, 2:])]
    return [(share, view) for share, each in shares for view in (each, each.flip(3))]


VIEWS = {"mirror": mirror, "mirror_shift": mirror_shift}  # by the value of the option test_time_augmentation


def averaged(forward: Callable[[Tensor], Tensor], images: Tensor, name: str) -> Tensor:
    """The logits [N, classes] of normalized images [N, C, H, W]: as they are for `none`, else averaged over views."""
    if name == NONE:
        return forward(images)
    first, *others = (share * forward(view) for share, view in VIEWS[name](images))
    for logits in others:
        first = first + logits
    return first


def source_of(name: str) -> str:
    """The code of the function `views` in a program; empty for `none`."""
    return "" if name == NONE else f"{inspect.getsource(VIEWS[name])}\n\n".replace(f"def {name}(", "def views(")
