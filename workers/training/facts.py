"""Facts about the images of a run before it begins: their number, and the score of guessing."""

import hashlib
from typing import Any

import torch
from torch import Tensor

from workers.training.data.images import ImageSet
from workers.training.data.prepare import Prepared
from workers.training.mirroring import mirroring


def facts(prepared: Prepared) -> dict[str, Any]:
    """The facts as plain JSON data.

    `images` is the number of images in each part. `trivial_loss` (nats) and `trivial_accuracy` are the validation
    scores of guessing: a predictor that knows only the frequencies of the training labels. Its loss is near the entropy
    of the labels. `copies_across` counts the validation images that have a copy among the training images. `mirroring`
    says whether mirrored images keep their class.
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
        "mirroring": mirroring(images, split.train),
    }


def _copies_across(images: ImageSet, train: Tensor, validation: Tensor) -> int:
    if images.copies is not None:
        validation = validation[torch.isin(images.copies[validation], images.copies[train])]
        if images.parts is not None:
            return len(validation)
        # The split divided a group that was too large for one part. Its images need not be copies; equal pixels are.
        train = train[torch.isin(images.copies[train], images.copies[validation])]
    known = set(_digests(images, train))
    return sum(digest in known for digest in _digests(images, validation))


def _digests(images: ImageSet, indices: Tensor) -> list[bytes]:
    """A digest of the pixels of each image."""
    rows = (row for chunk in torch.split(indices, 4096) for row in images.stored[chunk].numpy())
    return [hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in rows]
