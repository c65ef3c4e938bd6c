"""Objects as files in a local folder."""

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from service.core.errors import ObjectMissing, StorageError
from service.core.files import durable_file
from service.core.storage.objects import BLOCK, Artifact, Storage, StoredObject, described, parts_of


class LocalStorage(Storage):
    """A folder. A key is visible only once its whole content is on the disk."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, key: str, source: Path) -> Artifact:
        """Copy a file in, atomically and durably."""
        target = self.path(key)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            digest, size = hashlib.sha256(), 0
            with source.open("rb") as reader, durable_file(target) as writer:
                while block := reader.read(BLOCK):
                    digest.update(block)
                    size += writer.write(block)
        except OSError as error:
            raise StorageError(f"{key} could not be stored: {error.strerror}") from error
        return described(key, size, digest.hexdigest())

    def open(self, key: str) -> BinaryIO:
        """The content, seekable. Raises ObjectMissing."""
        try:
            return self.path(key).open("rb")
        except FileNotFoundError as error:
            raise ObjectMissing(f"{key} is not in the storage") from error
        except OSError as error:
            raise StorageError(f"{key} cannot be read: {error.strerror}") from error

    def delete(self, prefix: str) -> None:
        """Remove the object of that key, or everything below it; nothing there is no error."""
        path = self.path(prefix)
        try:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)  # as much as can be
            if path.is_dir():
                shutil.rmtree(path)  # tells why something is left
            else:
                path.unlink(missing_ok=True)
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            raise StorageError(f"{prefix} cannot be deleted: {error.strerror or error}") from error

    def names(self, folder: str) -> Iterator[str]:
        """Of the folders directly below a folder; none where it is not there."""
        with suppress(FileNotFoundError), os.scandir(self.path(folder)) as entries:
            yield from (entry.name for entry in entries if entry.is_dir(follow_symlinks=False))

    def objects(self, prefix: str) -> Iterator[StoredObject]:
        """Everything below a folder, also what was never finished; nothing where it is not there."""
        for folder, _, names in os.walk(self.path(prefix)):
            for path in (Path(folder) / name for name in names):
                with suppress(FileNotFoundError):
                    found = path.lstat()
                    yield StoredObject(path.relative_to(self.root).as_posix(), found.st_size, found.st_mtime)

    def check(self) -> None:
        """Raise StorageError unless something can be written."""
        probe = self.root / f".probe-{uuid4().hex}"
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            probe.write_bytes(b"x")
            probe.unlink()
        except OSError as error:
            raise StorageError(f"the storage cannot be written: {error.strerror}") from error

    def path(self, key: str) -> Path:
        """Where the object of that key is, or would be. Raises StorageError for what is no key."""
        return self.root.joinpath(*parts_of(key))
