"""Random numbers for whole batches, drawn on the CPU: the same seed gives the same draws on every device."""

import torch
from torch import Tensor

CPU = torch.device("cpu")
Shape = tuple[int, ...]


def uniform(shape: Shape, low: float, high: float, random: torch.Generator, device: torch.device) -> Tensor:
    """float32, uniform from low to high."""
    return send(torch.rand(shape, generator=random).mul_(high - low).add_(low), device)


def integers(shape: Shape, low: int, high: int, random: torch.Generator, device: torch.device) -> Tensor:
    """int64, each of low, ..., high - 1 with the same probability."""
    return send(torch.randint(low, high, shape, generator=random), device)


def chances(shape: Shape, probability: float, random: torch.Generator, device: torch.device) -> Tensor:
    """bool, true with the given probability: 0 never, 1 always."""
    return send(torch.rand(shape, generator=random) < probability, device)


def permutation(size: int, random: torch.Generator, device: torch.device) -> Tensor:
    """int64 [size]: 0, ..., size - 1, every order with the same probability."""
    return send(torch.randperm(size, generator=random), device)


def send(drawn: Tensor, device: torch.device) -> Tensor:
    """A CPU tensor on the device. From pinned memory the copy to a GPU does not wait for what runs there."""
    if device.type == "cuda":
        return drawn.pin_memory().to(device, non_blocking=True)
    return drawn.to(device)
