"""Writes the pack of a built-in data set, from which the API reads single images."""

import logging
from pathlib import Path

import torch

from workers.datasets.ingest.pack import Pack
from workers.training.data.images import CHUNK_BYTES, ImageSet

log = logging.getLogger(__name__)


def write_pack(images: ImageSet, folder: Path) -> None:
    """Write the stored pixels and their labels. No job fails because the disk is full: it is logged."""
    channels, height, width = images.stored.shape[1:]
    size = channels * height * width
    try:
        folder.mkdir(exist_ok=True)
        with Pack(folder, most_bytes=len(images) * size) as pack:
            for chunk in torch.split(images.stored, max(1, CHUNK_BYTES // size)):
                for pixels in chunk.permute(0, 2, 3, 1).contiguous().numpy():
                    pack.add(pixels)
        pack.index(images.preprocessing, labels=images.labels.numpy())
    except OSError as error:
        log.warning("the images of the data set cannot be stored: %s", error.strerror)
