"""Where artifacts live: a local folder, addressed by keys such as `jobs/<id>/a1/best_model.pth`."""

import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO
from uuid import uuid4

from service.core.errors import SettingsError, StorageError

MEDIA_TYPES = {".pth": "application/octet-stream", ".json": "application/json"}


@dataclass(frozen=True)
class Artifact:
    """One published file of a job, as the manifest lists it."""

    name: str
    key: str
    bytes: int
    sha256: str
    media_type: str


class LocalStorage:
    """A folder. A key is visible only once its whole content is on the disk."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, key: str, source: Path) -> Artifact:
        """Copy a file in; atomic and durable: temporary name, flush, fsync, replace, fsync of the folder."""
        target = self._path(key)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            partial = target.with_name(f".{uuid4().hex}.partial")
            digest, size = hashlib.sha256(), 0
            try:
                with source.open("rb") as reader, partial.open("xb") as writer:
                    while block := reader.read(1 << 20):
                        digest.update(block)
                        size += writer.write(block)
                    writer.flush()
                    os.fsync(writer.fileno())
                partial.replace(target)
            finally:
                partial.unlink(missing_ok=True)
            sync_folder(target.parent)
        except OSError as error:
            raise StorageError(f"{key} could not be stored: {error.strerror}") from error
        return Artifact(
            target.name, key, size, digest.hexdigest(), MEDIA_TYPES.get(target.suffix, "application/octet-stream")
        )

    def open(self, key: str) -> BinaryIO:
        """The content, seekable; raises StorageError where there is none."""
        try:
            return self._path(key).open("rb")
        except OSError as error:
            raise StorageError(f"{key} cannot be read: {error.strerror}") from error

    def delete(self, prefix: str) -> None:
        """Remove everything under a key prefix; nothing there is no error."""
        shutil.rmtree(self._path(prefix), ignore_errors=True)

    def check(self) -> None:
        """Raise StorageError unless something can be written."""
        probe = self.root / f".probe-{uuid4().hex}"
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            probe.write_bytes(b"x")
            probe.unlink()
        except OSError as error:
            raise StorageError(f"the storage cannot be written: {error.strerror}") from error

    def _path(self, key: str) -> Path:
        parts = PurePosixPath(key).parts
        if not parts or any(part in ("..", "/") for part in parts):
            raise StorageError(f"{key!r} is not a storage key")
        return self.root.joinpath(*parts)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def open_storage(url: str) -> LocalStorage:
    """The storage that RIGHTFIT_STORAGE_URL names: a folder's path, or file:///path."""
    path = url.removeprefix("file://")
    if "://" in path:
        raise SettingsError(f"RIGHTFIT_STORAGE_URL is {url!r}; allowed: a folder's path or file:///path")
    return LocalStorage(Path(path).resolve())
