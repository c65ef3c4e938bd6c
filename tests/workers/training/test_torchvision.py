"""Networks against torchvision's own. Networks that are too large to run are compared on the meta device."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import get_model, list_models
from torchvision.ops import StochasticDepth

from service.core.spec.architectures import ARCHITECTURES
from workers.training.models.classifier import freeze_backbone
from workers.training.models.meta import build_on_meta
from workers.training.models.stem import fit_channels
from workers.training.models.torchvision import build_torchvision
from workers.training.models.windows import windows

NAMES: list[str] = list_models(module=torchvision.models)
CHEAP = [
    "densenet121",
    "efficientnet_b0",
    "mnasnet0_5",
    "mobilenet_v3_small",
    "regnet_y_400mf",
    "resnet18",
    "shufflenet_v2_x0_5",
    "squeezenet1_1",
]
FAMILIES = [
    *CHEAP,
    "alexnet",
    "convnext_tiny",
    "googlenet",
    "inception_v3",
    "maxvit_t",
    "mobilenet_v2",
    "swin_t",
    "vgg11_bn",
    "vit_b_32",
]
OTHERS = [pytest.param(name, marks=pytest.mark.long) for name in NAMES if name not in FAMILIES]
WITHOUT_BRANCHES = ("alexnet", "densenet", "googlenet", "inception", "shufflenet", "squeezenet", "vgg")
Shape = tuple[int, int, int]


@pytest.fixture(autouse=True)
def one_thread_and_a_seed() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


def build(arch: str, shape: Shape = (3, 224, 224), classes: int = 10, **options: Any) -> nn.Module:
    plain = {"dropout": 0.0, "stochastic_depth": 0.0, "pretrained": False}
    return build_torchvision(arch, shape, classes, **(plain | options))


def on_meta(arch: str, shape: Shape = (3, 224, 224), classes: int = 10, **options: Any) -> nn.Module:
    return build_on_meta(lambda: build(arch, shape, classes, **options))


def torchvisions_own(arch: str, classes: int = 10) -> nn.Module:
    options = {"aux_logits": False, "init_weights": True} if arch in ("googlenet", "inception_v3") else {}
    model: nn.Module = get_model(arch, num_classes=classes, **options)
    return model


def run(model: nn.Module, *shape: int) -> Tensor:
    """The output on the meta device. Normalization is removed: it keeps the size and is slow there."""
    for name, module in list(model.named_modules()):
        if isinstance(module, nn.BatchNorm2d | nn.LayerNorm):
            model.set_submodule(name, nn.Identity())
    with torch.no_grad():
        output: Tensor = model.eval()(torch.empty(*shape, device="meta"))
    return output


@pytest.mark.parametrize("arch", [*FAMILIES, *OTHERS])
def test_every_architecture_takes_small_gray_images(arch: str) -> None:
    model, known = on_meta(arch, (1, 28, 28), 7), ARCHITECTURES[arch]
    assert sum(p.numel() for p in model.parameters()) == known.parameters(1, 28, 28, 7)
    assert any("running_mean" in name for name in model.state_dict()) == known.has_batch_norm
    assert known.has_residual_branches != arch.startswith(WITHOUT_BRANCHES)
    assert not any(module.p for module in model.modules() if isinstance(module, nn.Dropout | StochasticDepth))
    assert run(model, 2, 1, 28, 28).shape == (2, 7)


def sizes(model: nn.Module) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in model.state_dict().items()}


def steps(model: nn.Module) -> list[tuple[str, Any]]:
    return [(name, module.stride) for name, module in model.named_modules() if hasattr(module, "padding")]


@pytest.mark.parametrize("arch", FAMILIES)
def test_network_for_224_pixels_is_torchvisions_own(arch: str) -> None:
    theirs, ours = build_on_meta(lambda: torchvisions_own(arch)), on_meta(arch)
    assert sizes(ours) == sizes(theirs)
    assert steps(ours) == steps(theirs)
    depth = 0.0 if arch.startswith(WITHOUT_BRANCHES) else 0.3
    small = sizes(on_meta(arch, (1, 28, 20), dropout=0.2, stochastic_depth=depth))
    assert list(small) == list(sizes(theirs))
    differing = [name for name, size in sizes(theirs).items() if small[name] != size]
    stem = next(name for name, size in sizes(theirs).items() if size[1:2] == (3,))
    assert set(differing) == ({stem, "encoder.pos_embedding"} if arch == "vit_b_32" else {stem})


@pytest.mark.parametrize("arch", ["googlenet", "mnasnet0_5", "resnet18", "shufflenet_v2_x0_5", "squeezenet1_1"])
def test_network_is_initialized_and_computes_like_torchvisions(arch: str) -> None:
    windows.cache_clear()
    torch.manual_seed(1)
    ours = build(arch).eval()
    torch.manual_seed(1)
    theirs = torchvisions_own(arch).eval()
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))
    images = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        assert torch.equal(ours(images), theirs(images))


# The module with the last map, and its size for images of 8x8, 28x28, 32x32 and 33x57, from the papers' tables.
LAST_MAPS: dict[str, tuple[str, Sequence[tuple[int, int]]]] = {
    "resnet18": ("layer4", [(4, 4), (4, 4), (4, 4), (5, 8)]),
    "shufflenet_v2_x0_5": ("conv5", [(4, 4), (4, 4), (4, 4), (5, 8)]),
    "densenet121": ("features", [(5, 5), (6, 6), (4, 4), (4, 7)]),
    "vgg11": ("features", [(3, 3), (6, 6), (7, 7), (7, 13)]),
    "squeezenet1_1": ("features", [(1, 1), (6, 6), (7, 7), (7, 13)]),
    "convnext_tiny": ("features", [(2, 2), (6, 6), (7, 7), (7, 13)]),
    "maxvit_t": ("blocks.3", [(7, 7), (7, 7), (7, 7), (7, 7)]),
}


@pytest.mark.parametrize("arch", LAST_MAPS)
def test_small_images_keep_a_last_map_of_4x4_where_they_can(arch: str) -> None:
    place, expected = LAST_MAPS[arch]
    seen = []
    for height, width in [(8, 8), (28, 28), (32, 32), (33, 57)]:
        model = on_meta(arch, (3, height, width))
        model.get_submodule(place).register_forward_hook(lambda _module, _inputs, maps: seen.append(maps.shape[-2:]))
        run(model, 1, 3, height, width)
    assert seen == expected


def test_strides_are_halved_from_the_input_on() -> None:
    def taken(side: int) -> list[Any]:
        model = on_meta("resnet18", (3, side, side))
        names = ("conv1", "maxpool", "layer2.0.conv1", "layer2.0.downsample.0", "layer3.0.conv1")
        return [model.get_submodule(name).stride for name in names]

    two, one = (2, 2), (1, 1)
    assert taken(97) == [two, 2, two, two, two]
    assert taken(96) == [one, 2, two, two, two]
    assert taken(48) == [one, 1, two, two, two]
    assert taken(24) == [one, 1, one, one, two]
    patches = [on_meta("swin_t", (3, side, side)).get_submodule("features.0.0").stride for side in (128, 64, 32, 8)]
    assert patches == [(4, 4), (2, 2), (1, 1), (1, 1)]


@pytest.mark.parametrize("arch", ["alexnet", "inception_v3", "squeezenet1_0"])
def test_least_side_is_accepted_and_a_smaller_one_refused(arch: str) -> None:
    side = ARCHITECTURES[arch].least_side
    assert run(on_meta(arch, (3, side, side + 9)), 2, 3, side, side + 9).shape == (2, 10)
    with pytest.raises(ValueError, match=f"{side - 1}x{side + 9} pixels are too small for {arch}"):
        on_meta(arch, (3, side - 1, side + 9))


def test_all_others_take_images_of_8x8() -> None:
    assert {arch for arch in NAMES if ARCHITECTURES[arch].least_side > 8} == {
        "alexnet",
        "inception_v3",
        "squeezenet1_0",
    }


@pytest.mark.parametrize(
    ("arch", "size", "stem", "side"),
    [
        ("vit_b_32", (28, 20), "conv_proj", 128),
        ("vit_h_14", (100, 75), "conv_proj", 112),
        ("maxvit_t", (32, 20), "stem", 56),
        ("maxvit_t", (225, 8), "stem", 448),
    ],
)
def test_grid_transformers_get_the_next_divisible_square(
    arch: str, size: tuple[int, int], stem: str, side: int
) -> None:
    model, seen = on_meta(arch, (3, *size)), list[Any]()
    model.get_submodule(stem).register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0].shape))
    run(model, 1, 3, *size)
    assert seen == [(1, 3, side, side)]


def test_images_are_enlarged_bilinearly_only_if_needed() -> None:
    seen = []
    for size in [(10, 14), (14, 14)]:
        model = on_meta("maxvit_t", (1, *size))
        images = torch.randn(2, 1, *size)
        model.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
        with pytest.raises(RuntimeError):  # the values end at a network without any
            model(images)
        torch.testing.assert_close(seen[-1], F.interpolate(images, (14, 14), mode="bilinear"))


@pytest.mark.parametrize("arch", CHEAP)
def test_a_step_gives_finite_gradients_to_all_that_is_trained(arch: str) -> None:
    depth = 0.0 if arch.startswith(WITHOUT_BRANCHES) else 0.2
    model = build(arch, (2, 9, 12), 3, dropout=0.1, stochastic_depth=depth).train()
    loss = F.cross_entropy(model(torch.randn(4, 2, 9, 12)), torch.tensor([0, 1, 2, 0]))
    loss.backward()  # type: ignore[no-untyped-call]
    gradients = [p.grad for p in model.parameters()]
    assert all(gradient is not None and bool(gradient.isfinite().all()) for gradient in gradients)


@pytest.mark.parametrize("channels", [1, 2, 7])
def test_fresh_kernels_keep_the_spread_of_the_output(channels: int) -> None:
    def spread(count: int) -> float:
        model = nn.Sequential(nn.Conv2d(3, 256, 5, bias=False))
        fit_channels(model, count, pretrained=False)
        return float(model(torch.randn(8, count, 12, 12)).std().item())

    assert spread(channels) == pytest.approx(spread(3), rel=0.05)


def test_pretrained_kernels_are_summed_for_gray_else_repeated() -> None:
    color = nn.Conv2d(3, 4, 3)
    fitted = []
    for channels in (1, 5):
        model = nn.Sequential(nn.Conv2d(3, 4, 3))
        model[0].load_state_dict(color.state_dict())
        fit_channels(model, channels, pretrained=True)
        fitted.append(model)
    gray = torch.randn(2, 1, 6, 6)
    torch.testing.assert_close(fitted[0](gray), color(gray.expand(2, 3, 6, 6)))
    torch.testing.assert_close(fitted[1][0].weight, color.weight[:, [0, 1, 2, 0, 1]] * 3 / 5)


# The number of dropout modules in the classifier of each family (vit: in its encoder, three per block and one before).
OWN_DROPOUTS = {
    "alexnet": 2,
    "efficientnet_b0": 1,
    "googlenet": 1,
    "inception_v3": 1,
    "mnasnet0_5": 1,
    "mobilenet_v2": 1,
    "mobilenet_v3_small": 1,
    "squeezenet1_1": 1,
    "vgg11_bn": 2,
    "vit_b_32": 37,
}


@pytest.mark.parametrize("arch", FAMILIES)
def test_dropout_acts_where_usual_or_before_the_last_layer(arch: str) -> None:
    model = on_meta(arch, dropout=0.25)
    freeze_backbone(model)
    rates = [module.p for module in model.modules() if isinstance(module, nn.Dropout) and module.p]
    assert rates == [0.25] * OWN_DROPOUTS.get(arch, 0)
    trained = [name for name, p in model.named_parameters() if p.requires_grad]
    last = list(model.state_dict())[-1].rpartition(".")[0]
    assert trained == ([f"{last}.weight"] if arch == "maxvit_t" else [f"{last}.weight", f"{last}.bias"])
    seen: list[Tensor] = []
    head = model.get_submodule(last)
    head.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
    for mode in (True, False):
        with pytest.raises(RuntimeError):  # the values end at a layer without any
            head.train(mode)(torch.ones(1, 4000, 3))
    dropped = 0 if arch in OWN_DROPOUTS else 0.25
    assert [(features == 0).double().mean().item() for features in seen] == [pytest.approx(dropped, abs=0.03), 0]
    assert seen[0].mean().item() == pytest.approx(1, abs=0.03)


def test_frozen_backbone_gives_the_same_features_after_a_step() -> None:
    model = build("shufflenet_v2_x0_5", (1, 16, 16), dropout=0.5).eval()
    freeze_backbone(model)
    features, images = list[Tensor](), torch.randn(4, 1, 16, 16)
    model.get_submodule("conv5").register_forward_hook(lambda _module, _inputs, output: features.append(output.clone()))
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    model.get_submodule("fc").train()
    logits = [model(images)]
    logits[0].square().sum().backward()
    optimizer.step()
    logits.append(model(images))
    assert torch.equal(features[0], features[1])
    assert not torch.equal(logits[0], logits[1])
