"""Dropout with cheap masks: 16 random bits for each value. On a CPU torch draws a random float for each, serially.

Srivastava et al., "Dropout: A Simple Way to Prevent Neural Networks from Overfitting" (2014).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

BITS = 16  # random bits for each value; the error of p is at most 1 / 131,072
VALUES_A_DRAW = 64 // BITS
LOWEST = -(2**63)  # random_ with this lower bound and no upper bound draws all 64 bits


def dropout(x: Tensor, p: float) -> Tensor:
    """Set each value of x to 0 with probability p, 0 <= p < 1, and divide the others by 1 - p. x has any shape.

    Draws from the global generator of x's device. On a CPU p is rounded to a multiple of 1 / 65,536, also in the
    divisor, so the expected value is exactly x.
    """
    if x.device.type != "cpu" or torch.compiler.is_compiling():
        return F.dropout(x, p)
    x = _dense(x)
    dropped = min(round(p * 2**BITS), 2**BITS - 1)
    bits = torch.empty(-(-x.numel() // VALUES_A_DRAW), dtype=torch.int64).random_(LOWEST, None)
    kept = bits.view(torch.int16)[: x.numel()].ge(dropped - 2 ** (BITS - 1)).as_strided(x.shape, x.stride())
    return x * kept.to(x.dtype).mul_(1 / (1 - dropped / 2**BITS))


def _dense(x: Tensor) -> Tensor:
    """x without gaps in memory, in any memory format."""
    if x.is_contiguous() or (x.ndim == 4 and x.is_contiguous(memory_format=torch.channels_last)):  # noqa: PLR2004 - NCHW
        return x
    return x.contiguous()


class Dropout(nn.Module):
    """`dropout` in train mode, the identity in eval mode."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        return dropout(x, self.p) if self.training and self.p else x

    def extra_repr(self) -> str:
        return f"p={self.p}"
