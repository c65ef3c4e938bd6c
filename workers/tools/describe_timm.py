"""Counts what timm's networks need, for the API, which has no torch (see describe.py).

NAMES are networks of timm's usual families with published weights and at most 30 million parameters: larger ones gain
little from a few hundred photographs.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import timm
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from service.core.images import LARGEST_SIDE
from service.core.spec.architectures import TIMM, Architecture
from service.core.spec.states import CONSTANT, StateShapes
from workers.training.models.classifier import features_of, head_of
from workers.training.models.meta import build_on_meta
from workers.training.models.positions import OF_TIMM as POSITIONS
from workers.training.models.stem import first_convolution
from workers.training.models.timm_networks import LEAST_SIDE

NAMES = (
    "convnext_atto",
    "convnext_femto",
    "convnext_nano",
    "convnext_pico",
    "convnext_tiny",
    "convnextv2_atto",
    "convnextv2_femto",
    "convnextv2_nano",
    "convnextv2_pico",
    "convnextv2_tiny",
    "deit3_small_patch16_224",
    "deit_small_patch16_224",
    "deit_tiny_patch16_224",
    "edgenext_small",
    "edgenext_x_small",
    "edgenext_xx_small",
    "efficientnet_b0",
    "efficientnet_b1",
    "efficientnet_b2",
    "efficientnet_b3",
    "efficientnet_lite0",
    "ghostnet_100",
    "ghostnetv2_100",
    "hgnetv2_b0",
    "hgnetv2_b1",
    "hgnetv2_b2",
    "lcnet_050",
    "lcnet_075",
    "lcnet_100",
    "mobilenetv2_050",
    "mobilenetv2_100",
    "mobilenetv2_140",
    "mobilenetv3_large_100",
    "mobilenetv3_small_050",
    "mobilenetv3_small_075",
    "mobilenetv3_small_100",
    "mobilenetv4_conv_medium",
    "mobilenetv4_conv_small",
    "mobilevitv2_050",
    "mobilevitv2_075",
    "mobilevitv2_100",
    "regnety_002",
    "regnety_004",
    "regnety_008",
    "regnety_016",
    "resnet18",
    "resnet18d",
    "resnet26d",
    "resnet34",
    "resnet34d",
    "resnet50",
    "resnet50d",
    "rexnet_100",
    "rexnet_150",
    "swin_tiny_patch4_window7_224",
    "tf_efficientnet_lite1",
    "tf_efficientnet_lite2",
    "tf_efficientnetv2_b0",
    "tf_efficientnetv2_b1",
    "tf_efficientnetv2_b2",
    "tiny_vit_11m_224",
    "tiny_vit_5m_224",
    "tinynet_a",
    "tinynet_b",
    "tinynet_c",
    "tinynet_d",
    "tinynet_e",
    "vit_small_patch16_224",
    "vit_tiny_patch16_224",
)
SIDES = (LEAST_SIDE, 224, 384)  # pixels, where the values kept by networks for images of any size are counted
CHANNELS, CLASSES = 3, 10
OTHER_CHANNELS, OTHER_CLASSES = 5, 7
PUBLISHED_CLASSES = 1000
BATCH = 2

Shapes = Mapping[str, tuple[int, ...]]
Count = Callable[[nn.Module, int], int]  # of a network and the side of an image


def described(name: str, values_kept: Count, multiplications: Count) -> tuple[Architecture, StateShapes]:
    """What the network with this name in timm needs, and its learned tensors.

    `values_kept` counts the values that a network keeps of one image of a side. Raises ValueError for a network that
    needs another treatment than the others: where its last layer is not a linear layer whose output is that of the
    network, or its parameters depend on more than the channels and the classes.
    """
    arch = TIMM + name
    model = _built(arch, CHANNELS, CLASSES)
    head, (stem, first) = head_of(model), first_convolution(model) or ("", None)
    parameters = sum(p.numel() for p in model.parameters())
    if first is None or not _ends_with(model, head[1]):
        raise ValueError(f"{arch} has no convolution, or does not end with a linear layer")
    other, published = _built(arch, OTHER_CHANNELS, OTHER_CLASSES), _built(arch, CHANNELS, PUBLISHED_CLASSES)
    if _differing(model, other) != {f"{stem}.weight", *(f"{head[0]}.{name}" for name in head[1].state_dict())}:
        raise ValueError(f"other layers of {arch} depend on the channels or the classes")
    grid = _grid(model)
    side = 0 if grid.patch else _fixed_side(model)
    per_channel = first.weight.numel() // CHANNELS
    per_class = sum(p.numel() for p in head[1].parameters()) // CLASSES
    largest = _sides(side, grid.patch)[-1]
    needs = Architecture(
        arch,
        fixed=parameters - per_channel * CHANNELS - per_class * CLASSES - grid.per_position * grid.patches,
        per_channel=per_channel,
        per_class=per_class,
        features=features_of(head[1]),
        least_side=1,
        has_residual_branches=_has_branches(arch),
        has_batch_norm=any(isinstance(module, nn.BatchNorm2d) for module in model.modules()),
        kept=tuple((each, values_kept(_of_side(model, arch, each), each)) for each in _sides(side, grid.patch)),
        most_multiplications=multiplications(_of_side(model, arch, largest), largest),
        input_side=side,
        enlarged_to=0 if side or grid.patch else LEAST_SIDE,
        patch=grid.patch,
        least_patches=LEAST_SIDE // grid.patch if grid.patch else 0,
        per_position=grid.per_position,
    )
    return needs, StateShapes(_learned(published), head[0], f"{stem}.weight", POSITIONS if grid.patch else None)


def _built(arch: str, channels: int, classes: int, **options: Any) -> Any:
    name = arch.removeprefix(TIMM)
    return build_on_meta(lambda: timm.create_model(name, num_classes=classes, in_chans=channels, **options))


class _Grid(NamedTuple):
    """The patches of a ViT with learned position embeddings: their side in pixels, parameters of each, their number."""

    patch: int = 0
    per_position: int = 0
    patches: int = 0


def _grid(model: nn.Module) -> _Grid:
    """All zeros for other networks."""
    if not isinstance(model, VisionTransformer):
        return _Grid()
    return _Grid(model.patch_embed.patch_size[0], model.embed_dim, model.patch_embed.num_patches)


def _of_side(model: nn.Module, arch: str, side: int) -> nn.Module:
    """The network for images of this side: another one for a ViT, which has other position embeddings."""
    return _built(arch, CHANNELS, CLASSES, img_size=side) if _grid(model).patch else model


def _sides(side: int, patch: int) -> tuple[int, ...]:
    """Where the values kept are counted, in pixels, for a network of a fixed side, of patches, or of any size."""
    return (side,) if side else (*SIDES, LARGEST_SIDE) if patch else SIDES


def _fixed_side(model: Any) -> int:
    """The side in pixels that the network is made for if it takes no other, else 0."""
    side = int(model.pretrained_cfg["input_size"][1])
    for each in SIDES:
        try:
            with torch.no_grad():
                model.eval()(torch.empty(BATCH, CHANNELS, each, each, device="meta"))
        except (AssertionError, RuntimeError, ValueError):
            return side
    return 0


def _ends_with(model: Any, head: nn.Module) -> bool:
    """Whether the last layer is linear, gets features [N, F], and gives the output of the network."""
    if not isinstance(head, nn.Linear) or model.get_classifier() is not head:
        return False
    seen: list[tuple[Tensor, Tensor]] = []
    hook = head.register_forward_hook(lambda _, inputs, output: seen.append((inputs[0], output)))
    side = int(model.pretrained_cfg["input_size"][1])
    with torch.no_grad():
        result = model.eval()(torch.empty(BATCH, CHANNELS, side, side, device="meta"))
    hook.remove()
    return len(seen) == 1 and seen[0][0].ndim == 2 and result is seen[0][1]  # noqa: PLR2004 - [N, F]


def _has_branches(arch: str) -> bool:
    """Whether blocks of the network are skipped with the option drop_path_rate of timm."""
    try:
        model = _built(arch, CHANNELS, CLASSES, drop_path_rate=0.5)
    except TypeError:
        return False
    return any(getattr(module, "drop_prob", 0) for module in model.modules())


def _differing(one: nn.Module, other: nn.Module) -> set[str]:
    first, second = _learned(one), _learned(other)
    return {name for name in first | second if first.get(name) != second.get(name)}


def _learned(model: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in model.state_dict().items() if not name.endswith(CONSTANT)}
