"""Prepares a data set for upload: an archive as it is, a folder as a zip."""

import os
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

from service.client.types import Progress

BLOCK = 1 << 18  # bytes sent at a time
MEDIA_TYPES = {
    ".zip": "application/zip",
    ".tar": "application/x-tar",
    ".tar.gz": "application/gzip",
    ".tgz": "application/gzip",
    ".npz": "application/x-npz",
}
IGNORED = ("__MACOSX", "Thumbs.db")  # operating systems add these to folders of images; hidden files are ignored too


class Archive(NamedTuple):
    """A data set that is ready to send: an open file at its start."""

    name: str
    file: BinaryIO
    media_type: str
    size: int  # bytes

    def blocks(self, progress: Progress | None) -> Iterator[bytes]:
        """The content in blocks; calls `progress` after each block was sent."""
        sent = 0
        while block := self.file.read(BLOCK):
            yield block
            sent += len(block)
            if progress:
                progress(sent, self.size)


@contextmanager
def archive(path: Path) -> Iterator[Archive]:
    """Open a data set. A folder is packed into a temporary zip, which is deleted on exit.

    Raises ValueError for a file of another type and for a folder without files.
    """
    name = path.resolve().name
    if path.is_dir():
        with tempfile.TemporaryFile() as file:
            _zip(path, file)
            yield _archive(name, file, MEDIA_TYPES[".zip"])
        return
    suffix = next((suffix for suffix in MEDIA_TYPES if path.name.lower().endswith(suffix)), None)
    if suffix is None:
        raise ValueError(f"{path}: a data set is a folder of class folders, or a file {', '.join(MEDIA_TYPES)}")
    with path.open("rb") as file:
        yield _archive(name.removesuffix(suffix), file, MEDIA_TYPES[suffix])


def _archive(name: str, file: BinaryIO, media_type: str) -> Archive:
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    return Archive(name, file, media_type, size)


def _zip(folder: Path, target: BinaryIO) -> None:
    """Write the files of a folder as a zip, stored and not deflated: image files are already compressed."""
    count = 0
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED, strict_timestamps=False) as archive:
        for path in sorted(folder.rglob("*")):
            parts = path.relative_to(folder).parts
            if path.is_file() and not any(part.startswith(".") or part in IGNORED for part in parts):
                archive.write(path, "/".join(parts))
                count += 1
    if count == 0:
        raise ValueError(f"{folder}: there are no files in it; a data set is a folder of one folder for each class")
