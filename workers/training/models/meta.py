"""Networks on torch's meta device, which has shapes but no values, to count and trace them without memory."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from workers.training.without_compiler import without_compiler


def build_on_meta(build: Callable[[], nn.Module]) -> nn.Module:
    """The result of `build`, with all parameters and buffers on the meta device. The random state is unchanged."""
    with torch.device("meta"), _ValuesOnCpu(), without_compiler():
        return build().to("meta")


class _ValuesOnCpu(TorchFunctionMode):
    """Keeps the values of small computed tables on the CPU: torchvision's regnet reads its widths from one."""

    def __torch_function__(self, func: Any, types: Sequence[Any], args: Any = (), kwargs: Any = None) -> Any:
        options = dict(kwargs or {})
        if func in (torch.arange, torch.tensor):
            options.setdefault("device", "cpu")
        return func(*args, **options)
