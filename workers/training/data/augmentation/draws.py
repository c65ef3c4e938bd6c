"""Random numbers for whole batches, drawn on the CPU: the same seed gives the same draws on every device."""

import torch
from torch import Tensor

CPU = torch.device("cpu")
Shape = tuple[int, ...]


def uniform(shape: Shape, low: float, high: float, random: torch.Generator, device: torch.device) -> Tensor:
    """float32 of this shape, uniform from low to high, on the device. `random` is a CPU generator, here and below."""
    return send(torch.rand(shape, generator=random).mul_(high - low).add_(low), device)


def integers(shape: Shape, low: int, high: int, random: torch.Generator, device: torch.device) -> Tensor:
    """int64 of this shape: each of low, ..., high - 1 with the same probability."""
    return send(torch.randint(low, high, shape, generator=random), device)


def chances(shape: Shape, probability: float, random: torch.Generator, device: torch.device) -> Tensor:
    """bool of this shape, true with the given probability from 0 (never) to 1 (always)."""
    return send(torch.rand(shape, generator=random) < probability, device)


def permutation(size: int, random: torch.Generator, device: torch.device) -> Tensor:
    """int64 [size]: 0, ..., size - 1, every order with the same probability."""
    return send(torch.randperm(size, generator=random), device)


def send(drawn: Tensor, device: torch.device) -> Tensor:
    """Copy a CPU tensor to the device, for a GPU from pinned memory, which does not wait for running kernels."""
    if device.type == "cuda":
        return drawn.pin_memory().to(device, non_blocking=True)
    return drawn.to(device)
