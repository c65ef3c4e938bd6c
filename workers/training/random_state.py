"""The random state of a process, which dropout and stochastic depth draw from."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

RandomState = Mapping[str, Any]


def random_state(device: torch.device) -> dict[str, Tensor | None]:
    """That of the CPU as `random` and that of `device` as `cuda_random`, None on a CPU. Does not synchronize."""
    on_gpu = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
    return {"random": torch.get_rng_state(), "cuda_random": on_gpu}


def restore_random_state(state: RandomState, device: torch.device) -> None:
    """Put it back. A state that was taken on a CPU leaves a GPU as it is."""
    torch.set_rng_state(state["random"])
    if state["cuda_random"] is not None and device.type == "cuda":
        torch.cuda.set_rng_state(state["cuda_random"], device)
