"""Writes the pack of a built-in data set, from which the API reads single images (workers/datasets/ingest/pack.py)."""

import logging
from pathlib import Path

import numpy as np
import torch

from service.core.records.dataset import INDEX, PIXELS
from workers.training.data.images import CHUNK_BYTES, ImageSet

log = logging.getLogger(__name__)


def write_pack(images: ImageSet, folder: Path) -> None:
    """Write the stored pixels and where each image begins. No job fails because the disk is full: it is logged."""
    count, (channels, height, width) = len(images), images.stored.shape[1:]
    size = channels * height * width
    try:
        folder.mkdir(exist_ok=True)
        with (folder / PIXELS).open("wb") as file:
            for chunk in torch.split(images.stored, max(1, CHUNK_BYTES // size)):
                file.write(chunk.permute(0, 2, 3, 1).contiguous().numpy().data)
        np.savez(
            folder / INDEX,
            offsets=np.arange(count, dtype=np.int64) * size,
            heights=np.full(count, height, np.int32),
            widths=np.full(count, width, np.int32),
            labels=images.labels.numpy(),
        )
    except OSError as error:
        log.warning("the images of the data set cannot be stored: %s", error.strerror)
