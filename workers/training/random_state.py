"""The global random state of a process, from which dropout and stochastic depth draw."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

RandomState = Mapping[str, Any]


def random_state(device: torch.device) -> dict[str, Tensor | None]:
    """The state of the CPU as `random` and of `device` as `cuda_random` (None on a CPU). Does not synchronize."""
    on_gpu = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
    return {"random": torch.get_rng_state(), "cuda_random": on_gpu}


def restore_random_state(state: RandomState, device: torch.device) -> None:
    """Restore a state of `random_state`. A state from a CPU leaves the state of a GPU unchanged."""
    torch.set_rng_state(state["random"])
    if state["cuda_random"] is not None and device.type == "cuda":
        torch.cuda.set_rng_state(state["cuda_random"], device)
