"""Mixing a batch with a permutation of itself, by mixup or CutMix, with its targets."""

from random import Random

import torch
from torch import Tensor

from workers.training.data.augmentation.draws import CPU, chances, integers, permutation
from workers.training.regularization.cutmix import cutmix
from workers.training.regularization.hooks import OFF, Hooks, Mixed, Setup
from workers.training.regularization.mixup import mixup


def mixing(setup: Setup) -> Hooks:
    """Mixes the batch if `mixup_alpha` or `cutmix_alpha` is above 0."""
    options = setup.spec.regularization
    alphas = options.mixup_alpha, options.cutmix_alpha
    return Hooks(batch=lambda batch, random: mix(batch.images, batch.labels, *alphas, random)) if any(alphas) else OFF


def mix(images: Tensor, labels: Tensor, mixup_alpha: float, cutmix_alpha: float, random: torch.Generator) -> Mixed:
    """Mix images [N, C, H, W] with a random permutation of themselves, in one ratio from Beta(alpha, alpha) per batch.

    An alpha of 0 switches its method off. With both above 0, each batch uses one of them, with probability one half.
    Without any, the images are returned unchanged and nothing is drawn. labels int64 [N]; `random` is a CPU generator.
    """
    if not mixup_alpha and not cutmix_alpha:
        return Mixed(images, labels, labels, share=1.0)
    cut = bool(chances((), 0.5, random, CPU)) if mixup_alpha and cutmix_alpha else bool(cutmix_alpha)
    share = _beta(cutmix_alpha if cut else mixup_alpha, random)
    partners = permutation(len(images), random, images.device)
    if cut:
        mixed, share = cutmix(images, share, partners, random)
    else:
        mixed = mixup(images, share, partners)
    return Mixed(mixed, labels, labels.index_select(0, partners), share)


def _beta(alpha: float, random: torch.Generator) -> float:
    """A draw from Beta(alpha, alpha). torch's Beta distribution accepts no generator, so Python's is used."""
    seed = int(integers((), 0, 2**63 - 1, random, CPU))
    generator = Random(seed)  # noqa: S311 - nothing secret
    share = generator.betavariate(alpha, alpha)
    return share if generator.random() < 0.5 else 1 - share  # noqa: PLR2004 - below alpha 0.01 rounding favours 0
