"""Convolutions of single pixels that skip pixels, in a form that is safe on every CPU."""

from torch import Tensor, nn
from torch.nn import functional as F

SAFE_CHANNELS = 8  # nn.Conv2d is safe with this number of input channels, and with more


class SkippingConv2d(nn.Conv2d):
    """As nn.Conv2d with a kernel of one pixel and without padding: the skipped pixels are left out before.

    On CPUs without AVX-512, the gradient of nn.Conv2d's own way writes beyond its memory for fewer than SAFE_CHANNELS
    channels in the order channels_last (torch 2.15.0), which ends the process.
    """

    def forward(self, images: Tensor) -> Tensor:
        """float32 [N, channels, height, width] to [N, out_channels, rows, columns]."""
        down, across = self.stride
        return F.conv2d(images[..., ::down, ::across], self.weight, self.bias, groups=self.groups)


def convolution(
    inputs: int, outputs: int, kernel_size: int, stride: int, padding: int, groups: int = 1, *, bias: bool
) -> nn.Conv2d:
    """A convolution of a square kernel."""
    skips = kernel_size == 1 and stride > 1 and padding == 0 and inputs < SAFE_CHANNELS
    kind = SkippingConv2d if skips else nn.Conv2d
    return kind(inputs, outputs, kernel_size, stride, padding, groups=groups, bias=bias)
