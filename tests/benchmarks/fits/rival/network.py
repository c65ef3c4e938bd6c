"""The network of a configuration: blocks of convolution, normalization, activation and pooling, then the head."""

import torch
from torch import Tensor, nn

from tests.benchmarks.fits.rival.config import Config


class Normalize(nn.Module):
    """Subtracts the mean and divides by the standard deviation of each channel, [channels] each."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Tensor, std: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean[:, None, None])
        self.register_buffer("std", std[:, None, None])

    def forward(self, images: Tensor) -> Tensor:
        return (images - self.mean) / self.std


def network(config: Config, images: Tensor, classes: int) -> nn.Module:
    """An untrained network in channels last for images like these, float32 [N, channels, height, width] from 0 to 1.

    They set the normalization. The output is logits [N, classes]. Weights come from torch's global random state.
    """
    layers: list[nn.Module] = [Normalize(images.mean((0, 2, 3)), images.std((0, 2, 3)))]
    channels_in = images.shape[1]
    for channels in config.channels:
        layers.append(nn.Conv2d(channels_in, channels, 3, padding=1, bias=not config.batch_norm))
        layers += [nn.BatchNorm2d(channels)] if config.batch_norm else []
        layers += [nn.ReLU(), nn.MaxPool2d(2)]
        channels_in = channels
    layers.append(nn.Flatten())
    features = int(nn.Sequential(*layers).eval()(torch.zeros(1, *images.shape[1:])).shape[1])
    if config.hidden:
        layers += [nn.Dropout(config.dropout), nn.Linear(features, config.hidden), nn.ReLU()]
        features = config.hidden
    layers += [nn.Dropout(config.dropout), nn.Linear(features, classes)]
    return nn.Sequential(*layers).train().to(memory_format=torch.channels_last)
