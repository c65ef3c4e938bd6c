"""What only the images can tell of a run before it begins: how many there are, and what guessing would score."""

import hashlib
from typing import Any

import torch
from torch import Tensor

from workers.training.data.images import ImageSet
from workers.training.data.prepare import Prepared


def facts(prepared: Prepared) -> dict[str, Any]:
    """Plain JSON data.

    `trivial_loss` (nats) and `trivial_accuracy` are what a predictor scores on the validation images that knows the
    training labels' frequencies and never looks at an image: near the entropy of the labels. `copies_across` counts
    the validation images that have a copy among the training images.
    """
    images, split = prepared.images, prepared.split
    counts = torch.bincount(images.labels[split.train], minlength=len(images.classes)).double()
    shares = ((counts + 1) / (counts + 1).sum())[images.labels[split.validation]]  # no share is zero (Laplace)
    guessed = images.labels[split.validation] == counts.argmax()
    return {
        "images": {name: len(part) for name, part in vars(split).items()},
        "trivial_loss": float(-shares.log().mean()),
        "trivial_accuracy": float(guessed.double().mean()),
        "copies_across": _copies_across(images, split.train, split.validation),
    }


def _copies_across(images: ImageSet, train: Tensor, validation: Tensor) -> int:
    if images.copies is not None:
        return int(torch.isin(images.copies[validation], images.copies[train]).sum())
    known = _digests(images, train)
    return sum(digest in known for digest in _listed(images, validation))


def _digests(images: ImageSet, indices: Tensor) -> set[bytes]:
    return set(_listed(images, indices))


def _listed(images: ImageSet, indices: Tensor) -> list[bytes]:
    """A digest of the pixels of each image."""
    rows = (row for chunk in torch.split(indices, 4096) for row in images.stored[chunk].numpy())
    return [hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in rows]
