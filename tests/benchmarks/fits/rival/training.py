"""The training of one configuration: a plain fast loop on one thread, with all images in memory."""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel

from tests.benchmarks.fits.rival.augmentation import augmented
from tests.benchmarks.fits.rival.config import Config, Schedule
from tests.benchmarks.fits.rival.network import network

Tensors = tuple[Tensor, ...] | list[Tensor]

AT_ONCE = 250  # images in one pass without gradients
RISING_SHARE = 0.25  # of the steps of onecycle
WARMUP_SHARE = 0.05  # of the steps of the other schedules
FIRST_SHARE = 0.04  # of the highest learning rate, at the start
BF16_SIDE = 16  # pixels: below it, bf16 costs more than it saves


@dataclass(frozen=True)
class Data:
    """Images float32 [N, channels, height, width] from 0 to 1, channels last, and labels int64 [N]."""

    train: Tensor
    train_labels: Tensor
    validation: Tensor
    validation_labels: Tensor

    @property
    def classes(self) -> int:
        return int(self.train_labels.max()) + 1


def as_images(pixels: np.ndarray) -> Tensor:
    """uint8 [N, channels, height, width] from 0 to 255 as float32 from 0 to 1, channels last."""
    return (torch.from_numpy(pixels).float() / 255).contiguous(memory_format=torch.channels_last)


def load(path: Path) -> Data:
    with np.load(path) as file:
        return Data(
            as_images(file["train_images"]),
            torch.from_numpy(file["train_labels"]),
            as_images(file["validation_images"]),
            torch.from_numpy(file["validation_labels"]),
        )


def train(config: Config, data: Data, epochs: int, deadline: float) -> Iterator[tuple[float, nn.Module]]:
    """The validation loss and the model after each epoch, until the deadline, in seconds of time.monotonic."""
    model = network(config, data.train, data.classes)
    averaged = _averaged(model, config.ema_decay) if config.ema_decay else None
    optimizer = _optimizer(model, config)
    bf16 = torch.autocast("cpu", torch.bfloat16, enabled=data.train.shape[-1] >= BF16_SIDE and _has_bf16())
    steps, step = epochs * math.ceil(len(data.train_labels) / config.batch_size), 0
    for _ in range(epochs):
        model.train()
        for chunk in torch.split(torch.randperm(len(data.train_labels)), config.batch_size):
            if time.monotonic() > deadline:
                return
            for group in optimizer.param_groups:
                group["lr"] = config.lr * lr_share(config.schedule, step / steps)
            images = augmented(data.train[chunk], config).contiguous(memory_format=torch.channels_last)
            with bf16:
                outputs = model(images)
            loss = F.cross_entropy(outputs.float(), data.train_labels[chunk], label_smoothing=config.label_smoothing)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            optimizer.step()
            if averaged:
                averaged.update_parameters(model)
            step += 1
        scored = averaged.module if averaged else model
        yield float(F.cross_entropy(logits(scored, data.validation), data.validation_labels)), scored


@torch.no_grad()
def logits(model: nn.Module, images: Tensor) -> Tensor:
    """The outputs of the model in eval mode, [N, classes]."""
    model.eval()
    return torch.cat([model(chunk) for chunk in torch.split(images, AT_ONCE)])


def lr_share(schedule: Schedule, progress: float) -> float:
    """The learning rate as a share of its highest value, at a progress from 0 to 1."""
    rising = RISING_SHARE if schedule == "onecycle" else WARMUP_SHARE
    if progress < rising:
        return FIRST_SHARE + (1 - FIRST_SHARE) * progress / rising
    if schedule == "constant":
        return 1.0
    return 0.5 + 0.5 * math.cos(math.pi * (progress - rising) / (1 - rising))


def _optimizer(model: nn.Module, config: Config) -> torch.optim.Optimizer:
    """AdamW that leaves biases and normalization without decay."""
    decayed = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    groups = [
        {"params": decayed, "weight_decay": config.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.lr, fused=True)


def _averaged(model: nn.Module, decay: float) -> AveragedModel:
    """An exponential moving average of weights and buffers. The first steps have a smaller decay."""

    def average(means: Tensors, values: Tensors, steps: Tensor | int) -> None:
        if means[0].is_floating_point():
            warm = min(decay, (1 + int(steps)) / (10 + int(steps)))
            torch._foreach_lerp_(means, values, 1 - warm)

    return AveragedModel(model, multi_avg_fn=average, use_buffers=True)


def _has_bf16() -> bool:
    """Whether the CPU computes in bfloat16. One without it is several times slower in it."""
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
