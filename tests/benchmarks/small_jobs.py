"""The networks of the benchmark of many small trainings on the digits, as a tutorial would write them."""

from collections.abc import Callable

from torch import nn

from tests.benchmarks.job import CLASSES, network

BATCH_SIZE = 64  # Rightfit's default
NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "cnn": lambda: network("digits"),
    "mlp": lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, CLASSES)),
}
