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
from service.core.storage.objects import BLOCK, Artifact, Storage, StoredObject, described, parts_of
from service.core.system import durable_file


class LocalStorage(Storage):
    """A folder. An object becomes visible once its whole content is on the disk."""

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
        """Delete the object with that key, or everything below it. A missing object is no error."""
        path = self.path(prefix)
        try:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)  # deletes as much as possible
            if path.is_dir():
                shutil.rmtree(path)  # raises the reason why something is left
            else:
                path.unlink(missing_ok=True)
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            raise StorageError(f"{prefix} cannot be deleted: {error.strerror or error}") from error

    def names(self, folder: str) -> Iterator[str]:
        """The names of the folders directly below a folder; none if it does not exist."""
        with suppress(FileNotFoundError), os.scandir(self.path(folder)) as entries:
            yield from (entry.name for entry in entries if entry.is_dir(follow_symlinks=False))

    def objects(self, prefix: str) -> Iterator[StoredObject]:
        """All objects below a folder, unfinished ones included; none if it does not exist."""
        for folder, _, names in os.walk(self.path(prefix)):
            for path in (Path(folder) / name for name in names):
                with suppress(FileNotFoundError):
                    status = path.lstat()
                    yield StoredObject(path.relative_to(self.root).as_posix(), status.st_size, status.st_mtime)

    def check(self) -> None:
        """Write and delete a probe. Raises StorageError if that fails."""
        probe = self.root / f".probe-{uuid4().hex}"
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            probe.write_bytes(b"x")
            probe.unlink()
        except OSError as error:
            raise StorageError(f"the storage cannot be written: {error.strerror}") from error

    def path(self, key: str) -> Path:
        """The path of the object with that key. Raises StorageError if it is not a valid key."""
        return self.root.joinpath(*parts_of(key))
