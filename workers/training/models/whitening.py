"""A fixed first convolution that whitens patches: its outputs are uncorrelated and of the same variance.

Its kernels are the eigenvectors of the covariance of patches of the training images, divided by the square roots of the
eigenvalues, and their negatives: Page, "How to Train Your ResNet" (2019); Jordan, "94% on CIFAR-10 in 3.29 Seconds on a
Single GPU" (2024).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from workers.training.data.images import ImageSet
from workers.training.data.normalization import Normalization

MOST_IMAGES = 5_000  # to estimate the covariance from
CHUNK = 250  # images at a time
LEAST_VARIANCE = 5e-4  # is added to the eigenvalues, so that directions without variance are not blown up


class Whitening(nn.Conv2d):
    """A convolution without padding whose weight is a buffer: no optimizer changes it. The bias is trained.

    `weight` float32 [2 * C * k^2, C, k, k]; until `whiten` it is random.
    """

    def __init__(self, channels: int, kernel_size: int) -> None:
        super().__init__(channels, 2 * channels * kernel_size**2, kernel_size)
        weight = self.weight.detach()
        del self.weight
        self.weight = nn.Buffer(weight)
        nn.init.zeros_(self.bias)  # type: ignore[arg-type]  # there is a bias


def whiten(model: nn.Module, images: ImageSet, train: Tensor, normalization: Normalization) -> None:
    """Set the weights of the network's whitening layer from the training images, in place; of others nothing changes.

    `train` int64 [N] are the indices of the training images, of which at most 5,000 are used, evenly spaced.
    """
    for module in model.modules():
        if isinstance(module, Whitening):
            spaced = torch.linspace(0, len(train) - 1, min(len(train), MOST_IMAGES)).round().long()
            covariance = _covariance(images, train[torch.unique(spaced)], normalization, module.kernel_size[0])
            with torch.no_grad():
                module.weight.copy_(kernels(covariance, module.in_channels))


def kernels(covariance: Tensor, channels: int) -> Tensor:
    """Kernels [2 * C * k^2, C, k, k] from the covariance [C * k^2, C * k^2] of patches. Largest variances first."""
    variances, vectors = torch.linalg.eigh(covariance)
    whitening = (vectors / (variances.clamp(min=0) + LEAST_VARIANCE).sqrt()).T.flip(0)
    side = round((len(covariance) / channels) ** 0.5)
    return torch.cat([whitening, -whitening]).view(-1, channels, side, side)


def _covariance(images: ImageSet, chosen: Tensor, normalization: Normalization, side: int) -> Tensor:
    """The covariance of all patches of the normalized images, float64 [C * side^2, C * side^2]."""
    scale, shift = normalization.scale_and_shift(torch.device("cpu"))
    count, total, products = 0, torch.zeros(()), torch.zeros(())
    for chunk in torch.split(chosen, CHUNK):
        pixels = images.take(chunk).double() * scale + shift
        patches = F.unfold(pixels, side).transpose(0, 1).flatten(1)  # [C * side^2, patches]
        count += patches.shape[1]
        total, products = total + patches.sum(1), products + patches @ patches.T
    mean = total / count
    return products / count - mean[:, None] * mean
