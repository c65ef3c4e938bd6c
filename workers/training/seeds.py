"""One seed for a run, and an independent stream of random numbers for each use."""

import hashlib

import torch


def derive(seed: int | None, use: str) -> int:
    """A 63-bit seed for one use: SHA-256 of the run's seed and the name of the use.

    The uses are `split`, `subset`, `order`, `augmentation`, `views`, `init` and `dropout`.
    """
    return int.from_bytes(hashlib.sha256(f"{seed}/{use}".encode()).digest()[:8], "big") >> 1


def generator(seed: int | None, use: str) -> torch.Generator:
    """A CPU generator for one use of a run's seed."""
    return torch.Generator().manual_seed(derive(seed, use))
