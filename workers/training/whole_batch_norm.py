"""Batch normalization over a batch that is divided among processes, on a CPU.

Ioffe and Szegedy, "Batch Normalization" (2015), with statistics over all processes as in Peng et al., "MegDet" (2018).
On a GPU torch.nn.SyncBatchNorm does the same; it does not support CPUs.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.nn.modules.batchnorm import _BatchNorm


class WholeBatchNorm(_BatchNorm):
    """Replaces BatchNorm1d and BatchNorm2d, for inputs [N, C, ...] with N >= 1.

    In eval mode it computes the same as the module that it replaces, and its state dict is the same. The statistics are
    over all processes, or, as in SyncBatchNorm, over those of `process_group`.
    """

    process_group: dist.ProcessGroup | None = None

    @torch.compiler.disable  # type: ignore[untyped-decorator]  # compiled collectives of the processes do not match
    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name in torch
        if not self.training or dist.get_world_size(self.process_group) == 1:
            return super().forward(input)
        others = [dim for dim in range(input.ndim) if dim != 1]
        shape = [1, -1, *[1] * (input.ndim - 2)]
        count = torch.tensor(float(input.numel() // input.shape[1]), dtype=torch.float64)
        dist.all_reduce(count)
        values = input.to(torch.promote_types(input.dtype, torch.float32))
        mean = _Total.apply(values.sum(others)) / count
        centered = values - mean.view(shape)
        variance = _Total.apply(centered.square().sum(others)) / count
        self._update_statistics(mean, variance * (count / (count - 1)))
        normalized: Tensor = centered * torch.rsqrt(variance.view(shape) + self.eps)
        if self.affine:
            normalized = normalized * self.weight.view(shape) + self.bias.view(shape)
        return normalized.to(input.dtype)

    def _check_input_dim(self, input: Tensor) -> None:  # noqa: A002
        """Accept any number of dimensions."""

    @torch.no_grad()
    def _update_statistics(self, mean: Tensor, variance: Tensor) -> None:
        if not self.track_running_stats:
            return
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance, share)


class WholeBatchNormAct(WholeBatchNorm):
    """Replaces timm's BatchNormAct2d, which applies its modules `drop` and `act` after the normalization."""

    drop: nn.Module
    act: nn.Module

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name in torch
        activated: Tensor = self.act(self.drop(super().forward(input)))
        return activated


class _Total(torch.autograd.Function):
    """The sum of a tensor over the processes. Its gradient is the sum of the gradients of all processes."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        total = tensor.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _Total.forward(ctx, gradient)


def with_whole_batch_norm(model: nn.Module) -> nn.Module:
    """The model with all batch normalization modules replaced, with the same parameters and buffers.

    Changes the model in place. For a model that is itself a batch normalization, only the replacement is returned.
    """
    if isinstance(model, _BatchNorm):
        kind = WholeBatchNormAct if has_activation(model) else WholeBatchNorm
        whole = kind(model.num_features, model.eps, model.momentum, model.affine, model.track_running_stats)
        whole.__dict__.update(model.__dict__)
        return whole
    for name, child in model.named_children():
        setattr(model, name, with_whole_batch_norm(child))
    return model


def has_activation(model: nn.Module) -> bool:
    """Whether a batch normalization of the model also applies an activation, as timm's BatchNormAct2d does."""
    return any(isinstance(module, _BatchNorm) and hasattr(module, "act") for module in model.modules())
