"""Convolutions of single pixels that skip pixels: the same result and gradients as those of torch, on every CPU."""

import pytest
import torch
from torch import nn

from workers.training.models.pointwise import SAFE_CHANNELS, SkippingConv2d, convolution


@pytest.mark.parametrize("side", [7, 8])
@pytest.mark.parametrize("stride", [2, 3])
@pytest.mark.parametrize("groups", [1, 2])
def test_results_and_gradients_are_those_of_torch(side: int, stride: int, groups: int) -> None:
    skipping = convolution(4, 6, 1, stride, 0, groups=groups, bias=True)
    assert isinstance(skipping, SkippingConv2d)
    usual = nn.Conv2d(4, 6, 1, stride, groups=groups)
    usual.load_state_dict(skipping.state_dict())
    images = torch.randn(5, 4, side, side)
    outputs = []
    for network, order in ((usual, torch.contiguous_format), (skipping, torch.channels_last)):
        network.to(memory_format=order)
        own = images.clone(memory_format=order).requires_grad_()
        outputs.append(network(own))
        outputs[-1].square().sum().backward()
        outputs.append(own.grad)
        outputs += [parameter.grad for parameter in network.parameters()]
    half = len(outputs) // 2
    for one, other in zip(outputs[:half], outputs[half:], strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize(("inputs", "kernel", "stride"), [(SAFE_CHANNELS, 1, 2), (4, 3, 2), (4, 1, 1)])
def test_other_convolutions_are_those_of_torch(inputs: int, kernel: int, stride: int) -> None:
    assert type(convolution(inputs, 6, kernel, stride, 0, bias=True)) is nn.Conv2d
