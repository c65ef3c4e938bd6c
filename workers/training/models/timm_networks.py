"""timm's classification networks by name, adapted to any channels, image size and number of classes.

Wightman, "PyTorch Image Models" (2019). The import of timm takes seconds, so this module is imported by the jobs that
train such a network, and by no others.
"""

from typing import Any

import torch
from torch import Tensor, nn

from service.core.errors import PretrainedUnavailable
from service.core.spec.architectures import ARCHITECTURES, TIMM
from workers.training.models.classifier import drop_before_head
from workers.training.models.pretrained import IMAGENET_MEAN, IMAGENET_STD
from workers.training.models.sizes import resize_input
from workers.training.models.stem import COLORS
from workers.training.models.windows import Size
from workers.training.without_compiler import without_compiler

with without_compiler():
    import timm

Shape = tuple[int, int, int]  # (channels, height, width)
LEAST_SIDE = 128  # pixels; smaller images are enlarged: most networks halve them five times, to maps of 4x4


def build_timm(
    arch: str,
    shape: Shape,
    classes: int,
    *,
    dropout: float,
    stochastic_depth: float,
    pretrained: bool,
) -> nn.Module:
    """A network from float images [N, C, H, W] of exactly `shape` (C, H, W) to logits [N, classes].

    `arch` is timm's name after `timm/`. The state_dict has timm's names and shapes, except for the position embeddings
    of a ViT, whose images become squares of whole patches that cover the longer side. Images are resized to the size
    that the network is made for where it has a fixed one, else enlarged to LEAST_SIDE. Their values are scaled from
    ImageNet's statistics to those of timm's weights. `dropout` acts on the input of the last layer, `stochastic_depth`
    is the probability of skipping the last block, and grows in proportion to the depth.

    Raises PretrainedUnavailable if the weights cannot be loaded.
    """
    depth = {"drop_path_rate": stochastic_depth} if stochastic_depth else {}
    model = _created(arch, pretrained, options_of(arch, shape, classes) | depth)
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    drop_before_head(model, dropout)
    scale_input(model, shape[0])
    if target := resized_to(arch, shape):
        resize_input(model, target)
    return model


def options_of(arch: str, shape: Shape, classes: int) -> dict[str, Any]:
    """The options of timm's function for a network, for images of this shape."""
    options: dict[str, Any] = {"num_classes": classes, "in_chans": shape[0]}
    return options | ({"img_size": ARCHITECTURES[arch].input_size(*shape[1:])} if ARCHITECTURES[arch].patch else {})


def resized_to(arch: str, shape: Shape) -> Size | None:
    """The height and width in pixels that the network resizes images of this shape to; None if it takes them as they
    are.
    """
    target = ARCHITECTURES[arch].input_size(*shape[1:])
    return None if target == shape[1:] else target


def _created(arch: str, pretrained: bool, options: dict[str, Any]) -> nn.Module:
    name = arch.removeprefix(TIMM)
    try:
        model: nn.Module = timm.create_model(name, pretrained=pretrained, **options)
    except Exception as error:
        if not pretrained:
            raise
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise PretrainedUnavailable(
            f"this worker could not download the weights of {arch} ({reason}); give it network access to "
            f"huggingface.co, or upload a file of them (rightfit weights push FILE --arch {arch}) and set "
            "model.weights to its id, or set model.weights to null"
        ) from error
    return model


def scale_input(model: Any, channels: int) -> None:
    """Make the model scale its images to the statistics that its weights expect, by a hook in place."""
    if scaling := input_scaling(model, channels):
        for name, values in zip(("input_scale", "input_shift"), scaling, strict=True):
            model.register_buffer(name, torch.tensor(values).view(-1, 1, 1), persistent=False)
        model.register_forward_pre_hook(_scale)


def input_scaling(model: Any, channels: int) -> tuple[list[float], list[float]] | None:
    """(scale, shift) by channel, from ImageNet's statistics to those that the weights expect; None if they are these.

    For other than three channels, the mean over the colors is used.
    """
    (mean, std), (ours_mean, ours_std) = (
        (torch.tensor(values, device="cpu") for values in pair)
        for pair in ((model.pretrained_cfg["mean"], model.pretrained_cfg["std"]), (IMAGENET_MEAN, IMAGENET_STD))
    )
    if torch.equal(mean, ours_mean) and torch.equal(std, ours_std):
        return None
    scale, shift = ours_std / std, (ours_mean - mean) / std
    if channels != COLORS:
        scale, shift = scale.mean().expand(channels), shift.mean().expand(channels)
    return scale.tolist(), shift.tolist()


def _scale(model: Any, inputs: tuple[Any, ...]) -> tuple[Tensor]:
    (images,) = inputs
    return (images * model.input_scale + model.input_shift,)
