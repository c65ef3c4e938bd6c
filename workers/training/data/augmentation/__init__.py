"""Augmentation of whole batches: uint8 images [N, C, H, W] to the same shape, with random draws for each image."""

import torch
from torch import Tensor

from service.core.spec import Augmentation
from service.core.spec.augmentation import ALTERNATING
from workers.training.data.augmentation.augmix import augmix
from workers.training.data.augmentation.color_jitter import color_jitter
from workers.training.data.augmentation.crop import random_crop
from workers.training.data.augmentation.flip import alternating_flip, horizontal_flip, vertical_flip
from workers.training.data.augmentation.rand_augment import rand_augment
from workers.training.data.augmentation.resized_crop import random_resized_crop
from workers.training.data.augmentation.rotation import rotate
from workers.training.data.augmentation.trivial_augment import trivial_augment


def augment(images: Tensor, options: Augmentation, random: torch.Generator, epoch: int) -> Tensor:
    """New images with the augmentations of the spec, in the usual order. `random` is a CPU generator; `epoch` counts
    from 1.

    Random erasing is separate, because it acts on normalized images.
    """
    if options.horizontal_flip == ALTERNATING:  # first, because it knows images by their pixels
        images = alternating_flip(images, epoch)
    if options.random_resized_crop is not None:
        images = random_resized_crop(images, options.random_resized_crop, random)
    if options.crop_padding:
        images = random_crop(images, options.crop_padding, random)
    if options.horizontal_flip is True:
        images = horizontal_flip(images, random)
    if options.vertical_flip:
        images = vertical_flip(images, random)
    if options.rotation_degrees:
        images = rotate(images, options.rotation_degrees, random)
    return _by_policies(images, options, random)


def _by_policies(images: Tensor, options: Augmentation, random: torch.Generator) -> Tensor:
    """New images with the random operations and colors of the spec."""
    if options.trivial_augment:
        images = trivial_augment(images, random)
    if options.rand_augment is not None:
        images = rand_augment(images, options.rand_augment.operations, options.rand_augment.magnitude, random)
    if options.augmix:
        images = augmix(images, random)
    if options.color_jitter:
        images = color_jitter(images, options.color_jitter, random)
    return images
