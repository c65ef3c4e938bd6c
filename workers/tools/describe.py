"""`python -m workers.tools.describe`: count what each network of torchvision and timm needs, for the API without torch.

Builds them on the meta device, without values and without a download. For each library it writes a table of needs with
one architecture a line, and a table of the tensors in their state_dicts.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial

import torch
import torchvision
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import VisionTransformer, list_models

from service.core.spec import states
from service.core.spec.architectures import FILE, TIMM_FILE, Architecture
from service.core.spec.states import CONSTANT, StateShapes
from workers.tools import describe_timm
from workers.training.features import draws_before_head
from workers.training.models.classifier import features_of, freeze_backbone, head_of, tail_of
from workers.training.models.meta import build_on_meta
from workers.training.models.sizes import LEAST_PATCHES
from workers.training.models.stochastic_depth import residual_blocks
from workers.training.models.strides import last_map, plans_of
from workers.training.models.torchvision import build_torchvision
from workers.training.models.windows import windows

# Pixels, where the values kept are counted: usual sizes, and both sides of where networks take strides back.
SIDES = (8, 16, 28, 32, 48, 64, 96, 112, 128, 224, 384, 512)
BYTES_PER_VALUE = 4  # fp32
BATCH = 2  # batch normalization cannot train on one image where its map is a single pixel
CHANNELS, CLASSES = 3, 10  # any would do
LEAST_DROPOUT = 0.1  # any would do
PUBLISHED_SIDE, PUBLISHED_CLASSES = 224, 1000  # of most of torchvision's published weights


def names() -> list[str]:
    """Every classification network of torchvision."""
    return list(list_models(module=torchvision.models))


def describe(arch: str) -> Architecture:
    """What the network needs, counted on it."""
    least = least_side(arch)
    kept = {side: values_kept(_build(arch, side), side) for side in SIDES if side >= least}
    model = _build(arch, SIDES[-1])
    first = next(module for module in model.modules() if isinstance(module, nn.Conv2d))
    _, head = head_of(model)
    per_channel, per_class = first.weight.numel() // CHANNELS, sum(p.numel() for p in head.parameters()) // CLASSES
    patch = per_position = patches = 0
    if isinstance(model, VisionTransformer):
        patch, per_position = model.patch_size, model.hidden_dim
        patches = model.seq_length - 1  # the class token has a position too
    learnt = per_channel * CHANNELS + per_class * CLASSES + per_position * patches
    return Architecture(
        arch,
        fixed=sum(p.numel() for p in model.parameters()) - learnt,
        per_channel=per_channel,
        per_class=per_class,
        features=features_of(head),
        least_side=least,
        has_residual_branches=bool(residual_blocks(model)),
        has_batch_norm=any(isinstance(module, nn.BatchNorm2d) for module in model.modules()),
        kept=tuple(kept.items()),
        most_multiplications=multiplications(model, SIDES[-1]),
        ends_linear=tail_of(model) is not None,
        drops_within=drops_within(_build(arch, PUBLISHED_SIDE, dropout=LEAST_DROPOUT)),
        patch=patch,
        least_patches=LEAST_PATCHES if patch else 0,
        per_position=per_position,
    )


def state_of(arch: str) -> StateShapes:
    """The learned tensors of the network."""
    model = _build(arch, PUBLISHED_SIDE, PUBLISHED_CLASSES)
    tensors = {k: tuple(v.shape) for k, v in model.state_dict().items() if not k.endswith(CONSTANT)}
    head, _ = head_of(model)
    stem = next(name for name, module in model.named_modules() if isinstance(module, nn.Conv2d))
    return StateShapes(tensors, head, f"{stem}.weight", next((k for k in tensors if k.endswith("pos_embedding")), None))


def least_side(arch: str) -> int:
    """The shortest side in pixels that leaves a last map, with all the strides that can be taken back."""
    if arch == "maxvit_t" or arch.startswith("vit_"):
        return 1  # they resize
    kinds, side = windows(arch), 1
    while not any(last_map(kinds, strides, (side, side)) for strides in plans_of(kinds)):
        side += 1
    return side


def values_kept(model: nn.Module, side: int) -> int:
    """fp32 values that autograd keeps of one square color image for the backward pass, the parameters left out."""
    parameters = {_storage(p) for p in model.parameters()}
    kept: dict[int, int] = {}  # bytes by storage: views and shared tensors count once

    def keep(tensor: Tensor) -> Tensor:
        if _storage(tensor) not in parameters:
            kept[_storage(tensor)] = tensor.untyped_storage().nbytes()
        return tensor

    images = torch.empty(BATCH, CHANNELS, side, side, device="meta")
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        model.train()(images)
    return sum(kept.values()) // BYTES_PER_VALUE // BATCH


def multiplications(model: nn.Module, side: int) -> int:
    """Multiplications in the forward pass of one square color image."""
    images = torch.empty(BATCH, CHANNELS, side, side, device="meta")
    with FlopCounterMode(display=False) as counter:
        model.train()(images)
    return int(counter.get_total_flops()) // 2 // BATCH  # a multiplication and an addition are two operations


def drops_within(model: nn.Module) -> bool:
    """Whether layers before the last one draw random numbers while they are frozen."""
    freeze_backbone(model)
    tail = tail_of(model)
    return tail is not None and draws_before_head(model, tail)


def _storage(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)


def _build(arch: str, side: int, classes: int = CLASSES, dropout: float = 0.0) -> nn.Module:
    shape = (CHANNELS, side, side)
    plain = partial(build_torchvision, dropout=dropout, stochastic_depth=0.0, pretrained=False)
    return build_on_meta(lambda: plain(arch, shape, classes))


def table(architectures: Mapping[str, Architecture]) -> str:
    """The file's text: JSON, sorted and compact, one architecture a line."""
    lines = []
    for name in sorted(architectures):
        row = {field: value for field, value in asdict(architectures[name]).items() if field != "name"}
        lines.append(f"{json.dumps(name)}:{json.dumps(row, sort_keys=True, separators=(',', ':'))}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def main() -> None:
    """Write the tables, a few seconds for each architecture."""
    described, described_states = {}, {}
    for name in names():
        print(name)
        described[name], described_states[name] = describe(name), state_of(name)
    FILE.write_text(table(described))
    states.FILE.write_bytes(states.packed(described_states))
    both = [describe_timm.described(name, values_kept, multiplications) for name in describe_timm.NAMES]
    TIMM_FILE.write_text(table({needs.name: needs for needs, _ in both}))
    states.TIMM_FILE.write_bytes(states.packed({needs.name: tensors for needs, tensors in both}))


if __name__ == "__main__":
    main()
