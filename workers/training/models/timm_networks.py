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
from workers.training.without_compiler import without_compiler

with without_compiler():
    import timm

LEAST_SIDE = 128  # pixels; smaller images are enlarged: most networks halve them five times, to maps of 4x4


def build_timm(
    arch: str,
    shape: tuple[int, int, int],
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
    channels, height, width = shape
    options: dict[str, Any] = {"num_classes": classes, "in_chans": channels}
    if stochastic_depth:
        options["drop_path_rate"] = stochastic_depth
    target = ARCHITECTURES[arch].input_size(height, width)
    if ARCHITECTURES[arch].patch:
        options["img_size"] = target
    model = _created(arch, pretrained, options)
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    drop_before_head(model, dropout)
    scale_input(model, channels)
    if target != (height, width):
        resize_input(model, target)
    return model


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
    """Make the model scale its images from ImageNet's statistics to those that its weights expect, by a hook in place.

    For other than three channels, the mean over the colors is used.
    """
    mean, std = (torch.tensor(model.pretrained_cfg[name]) for name in ("mean", "std"))
    ours_mean, ours_std = torch.tensor(IMAGENET_MEAN), torch.tensor(IMAGENET_STD)
    scale, shift = ours_std / std, (ours_mean - mean) / std
    if channels != COLORS:
        scale, shift = scale.mean().expand(channels), shift.mean().expand(channels)
    if not torch.equal(mean, ours_mean) or not torch.equal(std, ours_std):
        model.register_buffer("input_scale", scale.view(-1, 1, 1).clone(), persistent=False)
        model.register_buffer("input_shift", shift.view(-1, 1, 1).clone(), persistent=False)
        model.register_forward_pre_hook(_scale)


def _scale(model: Any, inputs: tuple[Any, ...]) -> tuple[Tensor]:
    (images,) = inputs
    return (images * model.input_scale + model.input_shift,)
