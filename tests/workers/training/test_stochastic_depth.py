"""Skipped branches in small networks of every family, observed by hooks."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import ConvNeXt, EfficientNet, MaxVit, SwinTransformer, VisionTransformer, get_model
from torchvision.models.convnext import CNBlockConfig
from torchvision.models.efficientnet import FusedMBConvConfig, MBConvConfig
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet
from torchvision.models.swin_transformer import PatchMergingV2, SwinTransformerBlockV2
from torchvision.ops import StochasticDepth

from workers.training.models.stochastic_depth import residual_blocks, set_stochastic_depth

IMAGES = 600


def swin(version: int) -> nn.Module:
    options = {} if version == 1 else {"block": SwinTransformerBlockV2, "downsample_layer": PatchMergingV2}
    model: nn.Module = SwinTransformer([4, 4], 8, [1, 3], [1, 1], [2, 2], **options)
    return model


def efficientnet() -> nn.Module:
    setting = [FusedMBConvConfig(2, 3, 1, 8, 8, 2), MBConvConfig(2, 3, 2, 8, 16, 3)]
    model: nn.Module = EfficientNet(setting, dropout=0.2)
    return model


# The network, the number of its blocks with a shortcut, and the class of the last of them.
NETWORKS: dict[str, tuple[Callable[[], nn.Module], int, str]] = {
    "basic resnet": (partial(ResNet, BasicBlock, [1, 2, 1, 2]), 6, "BasicBlock"),
    "bottleneck resnet": (partial(ResNet, Bottleneck, [1, 2, 1, 2]), 6, "Bottleneck"),
    "regnet": (partial(get_model, "regnet_y_400mf"), 16, "ResBottleneckBlock"),
    "mobilenet v2": (partial(get_model, "mobilenet_v2"), 10, "InvertedResidual"),
    "mobilenet v3": (partial(get_model, "mobilenet_v3_small"), 6, "InvertedResidual"),
    "mnasnet": (partial(get_model, "mnasnet0_5"), 10, "_InvertedResidual"),
    "efficientnet": (efficientnet, 4, "MBConv"),
    "vit": (partial(VisionTransformer, 32, 16, num_layers=4, num_heads=2, hidden_dim=8, mlp_dim=16), 4, "EncoderBlock"),
    "swin": (partial(swin, 1), 4, "SwinTransformerBlock"),
    "swin v2": (partial(swin, 2), 4, "SwinTransformerBlockV2"),
    "convnext": (partial(ConvNeXt, [CNBlockConfig(8, 16, 2), CNBlockConfig(16, None, 2)]), 4, "CNBlock"),
    "maxvit": (partial(MaxVit, (32, 32), 8, 2, [8, 16], [1, 2], 4, 0.2), 3, "MaxVitLayer"),
}


@pytest.fixture(autouse=True)
def one_thread_and_a_seed() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


@pytest.mark.parametrize("family", NETWORKS)
def test_branches_are_skipped_per_image_at_linearly_rising_rates(family: str) -> None:
    make, depth, _ = NETWORKS[family]
    model = make()
    set_stochastic_depth(model, 0.8)
    blocks = residual_blocks(model)
    assert len(blocks) == depth
    shares: list[tuple[int, float]] = []

    def watch(number: int, _end: nn.Module, _inputs: tuple[Tensor], output: Tensor) -> None:
        shares.append((number, (output.flatten(1) == 0).all(1).double().mean().item()))

    for number, ends in enumerate(blocks, 1):
        for end in ends:
            end.register_forward_hook(partial(watch, number))
    with torch.no_grad():
        model.train()(torch.randn(IMAGES, 3, 32, 32))
        trained = len(shares)
        model.eval()(torch.randn(20, 3, 32, 32))
    assert {number for number, _ in shares[:trained]} == set(range(1, depth + 1))
    assert all(share == pytest.approx(0.8 * number / depth, abs=0.09) for number, share in shares[:trained])
    assert not any(share for _, share in shares[trained:])


@pytest.mark.parametrize("family", NETWORKS)
def test_a_skipped_block_is_its_shortcut(family: str) -> None:
    make, _, kind = NETWORKS[family]
    model = make()
    for name, p in model.named_parameters():
        if name.endswith("bias"):
            nn.init.normal_(p)  # without it a branch could be 0 by itself
    set_stochastic_depth(model, 1 - 1e-9)
    seen: list[tuple[Tensor, Tensor]] = []
    for module in model.modules():
        if type(module).__name__ == kind:
            module.register_forward_hook(
                lambda _block, inputs, output: seen.append((inputs[0].clone(), output.clone()))
            )
    with torch.no_grad():
        model.train()(torch.randn(4, 3, 32, 32))
    before, after = [pair for pair in seen if pair[0].shape == pair[1].shape][-1]
    torch.testing.assert_close(after, before)


def test_kept_branch_is_scaled_to_keep_its_expected_value() -> None:
    model = ResNet(BasicBlock, [1, 1, 1, 2])
    set_stochastic_depth(model, 0.6)
    end = model.get_submodule("layer4.1.bn2")
    x = torch.randn(3000, 512, 1, 1)
    branch = end.train()(x)
    kept = branch.flatten(1).any(1)
    assert kept.double().mean().item() == pytest.approx(0.4, abs=0.04)
    torch.testing.assert_close(branch[kept], F.batch_norm(x, None, None, training=True)[kept] / 0.4)
    evaluated = nn.BatchNorm2d(512).eval()
    evaluated.load_state_dict(end.state_dict())
    assert torch.equal(end.eval()(x), evaluated(x))


def test_torchvisions_own_rates_are_replaced_even_by_zero() -> None:
    model = efficientnet()
    assert any(module.p for module in model.modules() if isinstance(module, StochasticDepth))
    set_stochastic_depth(model, 0.0)
    assert not any(module.p for module in model.modules() if isinstance(module, StochasticDepth))


@pytest.mark.parametrize("arch", ["squeezenet1_1", "shufflenet_v2_x0_5", "densenet121"])
def test_without_residual_branches_it_is_refused(arch: str) -> None:
    model = get_model(arch)
    set_stochastic_depth(model, 0.0)
    with pytest.raises(ValueError, match="needs residual branches"):
        set_stochastic_depth(model, 0.1)
