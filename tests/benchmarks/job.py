"""The job that every contestant does: arguments, data, the plain network, and the record that is printed at the end."""

import argparse
import json
import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

CLASSES = 10
LR = 1e-3  # of Adam
VALIDATION_BATCH = 256  # images at a time in eval mode: 1024 took twice as long on a CPU, 64 was no faster


@dataclass(frozen=True)
class Arguments:
    """`folder` is where the best weights go."""

    job: str
    data: Path
    batch_size: int
    epochs: int
    seed: int
    folder: Path


def arguments() -> Arguments:
    parser = argparse.ArgumentParser()
    parser.add_argument("--job", choices=("cnn", "digits"), required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--batch-size", type=int, required=True)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    return Arguments(**vars(parser.parse_args()))


@dataclass(frozen=True)
class Data:
    """Images float32 [N, 1, height, width], normalized with the training images' statistics; labels int64 [N]."""

    train_images: NDArray[np.float32]
    train_labels: NDArray[np.int64]
    validation_images: NDArray[np.float32]
    validation_labels: NDArray[np.int64]


def load(path: Path) -> Data:
    with np.load(path) as file:
        train, validation = file["train_images"], file["validation_images"]
        labels, validation_labels = file["train_labels"], file["validation_labels"]
    pixels = train.astype(np.float32) / 255
    mean, std = float(pixels.mean(dtype=np.float64)), float(pixels.std(dtype=np.float64))

    def normalized(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        return ((images.astype(np.float32) / 255 - mean) / std).astype(np.float32, copy=False)

    return Data(normalized(train), labels, normalized(validation), validation_labels)


def _block(channels_in: int, channels_out: int) -> list[nn.Module]:
    """Convolution, activation and a pooling that halves height and width."""
    return [nn.Conv2d(channels_in, channels_out, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]


def network(job: str) -> nn.Sequential:
    """As a tutorial would write it. Weights come from torch's global random state."""
    if job == "cnn":
        convolutions = [*_block(1, 32), *_block(32, 64), *_block(64, 128)]
        head = [nn.Linear(1152, 128), nn.ReLU(), nn.Dropout(0.25), nn.Linear(128, CLASSES)]
    else:
        convolutions = [*_block(1, 32), *_block(32, 64)]
        head = [nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, CLASSES)]
    return nn.Sequential(*convolutions, nn.Flatten(), *head)


def device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@dataclass
class Record:
    """What a contestant measured. An epoch lasts from the end of the one before; the first from the making of this."""

    name: str
    epoch_seconds: list[float] = field(default_factory=list)
    train_losses: list[float] = field(default_factory=list)
    val_losses: list[float] = field(default_factory=list)
    val_accuracies: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._last = time.perf_counter()

    def epoch(self, train_loss: float, val_loss: float, val_accuracy: float) -> None:
        """An epoch has ended: trained, validated, and saved if it was the best."""
        now = time.perf_counter()
        self.epoch_seconds.append(now - self._last)
        self._last = now
        self.train_losses.append(train_loss)
        self.val_losses.append(val_loss)
        self.val_accuracies.append(val_accuracy)

    def print(self, images: int) -> None:
        """The one JSON line. `images` is the number of training images; the first epoch is left out of the rate."""
        seconds = statistics.median(self.epoch_seconds[1:] or self.epoch_seconds)
        print(
            json.dumps(
                {
                    "name": self.name,
                    "epoch_seconds": self.epoch_seconds,
                    "images_per_second": images / seconds,
                    "train_losses": self.train_losses,
                    "val_losses": self.val_losses,
                    "val_accuracies": self.val_accuracies,
                }
            )
        )
