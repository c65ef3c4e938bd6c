"""The data set `synthetic`: 10,000 images of ten random patterns with noise, for load tests. It is always the same."""

import torch
from torch.nn import functional as F

from service.core.records.builtin_datasets import SYNTHETIC
from workers.training.data.images import ImageSet

NOISE = 60.0  # standard deviation, of 255


def load() -> ImageSet:
    """Images [10000, 3, 32, 32]: a smooth pattern for each class, plus noise."""
    random = torch.Generator().manual_seed(0)
    channels, height, width = SYNTHETIC.shape
    coarse = torch.rand(len(SYNTHETIC.classes), channels, 4, 4, generator=random)
    patterns = 255 * F.interpolate(coarse, (height, width), mode="bilinear")
    labels = torch.arange(SYNTHETIC.samples) % len(SYNTHETIC.classes)
    noise = NOISE * torch.randn(len(labels), channels, height, width, generator=random)
    images = (patterns[labels] + noise).round().clamp(0, 255).to(torch.uint8)
    return ImageSet(images.contiguous(memory_format=torch.channels_last), labels, SYNTHETIC.classes)
