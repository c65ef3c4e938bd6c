"""Networks without values: built on torch's meta device, where shapes are known and nothing is stored or drawn."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode


def build_on_meta(build: Callable[[], nn.Module]) -> nn.Module:
    """What `build` returns, with every parameter and buffer on the meta device. Touches no random state."""
    with torch.device("meta"), _ValuesOnCpu():
        return build().to("meta")


class _ValuesOnCpu(TorchFunctionMode):
    """Small tables that are computed, not learnt, keep their values: torchvision's regnet reads its widths from one."""

    def __torch_function__(self, func: Any, types: Sequence[Any], args: Any = (), kwargs: Any = None) -> Any:
        options = dict(kwargs or {})
        if func in (torch.arange, torch.tensor):
            options.setdefault("device", "cpu")
        return func(*args, **options)
