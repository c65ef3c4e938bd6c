"""The interface of all storages: objects addressed by keys such as `jobs/<id>/a1/best_model.pth`."""

import hashlib
import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from service.core.errors import ObjectMissing, StorageError

log = logging.getLogger(__name__)

BLOCK = 1 << 20  # bytes at a time
MEDIA_TYPES = {".json": "application/json"}


@dataclass(frozen=True)
class Artifact:
    """One stored file of a job, as the manifest lists it."""

    name: str
    key: str
    bytes: int
    sha256: str
    media_type: str


@dataclass(frozen=True)
class StoredObject:
    """An object as the storage lists it, changed at `at` (unix seconds, by the storage's clock)."""

    key: str
    bytes: int
    at: float


class Storage(ABC):
    """Stores artifacts and checkpoints. Every method raises StorageError if the storage cannot be used."""

    @abstractmethod
    def put(self, key: str, source: Path) -> Artifact:
        """Copy a file in. Either the whole object becomes visible under its key, or nothing."""

    def get(self, artifact: Artifact, target: Path) -> None:
        """Copy an object to a file and check its SHA-256.

        Raises ObjectMissing, and leaves no file, if the object is missing or differs from the one described.
        """
        digest = hashlib.sha256()
        try:
            with self.open(artifact.key) as reader, target.open("wb") as writer:
                while block := reader.read(BLOCK):
                    digest.update(block)
                    writer.write(block)
            if digest.hexdigest() != artifact.sha256:
                raise ObjectMissing(f"{artifact.key} is damaged: its SHA-256 is not {artifact.sha256}")
        except OSError as error:
            target.unlink(missing_ok=True)
            raise StorageError(f"{artifact.key} cannot be copied: {error.strerror or error}") from error
        except StorageError:
            target.unlink(missing_ok=True)
            raise

    @abstractmethod
    def open(self, key: str) -> BinaryIO:
        """The content, seekable. Raises ObjectMissing."""

    @abstractmethod
    def delete(self, prefix: str) -> None:
        """Delete the object with that key, or everything below it. A missing object is no error."""

    @abstractmethod
    def names(self, folder: str) -> Iterator[str]:
        """The names of the folders directly below a folder; none if it does not exist."""

    @abstractmethod
    def objects(self, prefix: str) -> Iterator[StoredObject]:
        """All objects below a folder, unfinished ones included; none if it does not exist."""

    @abstractmethod
    def check(self) -> None:
        """Write and delete a probe. Raises StorageError if that fails."""


def digest_of(storage: Storage, key: str) -> str:
    """The SHA-256 of an object, computed from its content. Raises ObjectMissing."""
    digest = hashlib.sha256()
    try:
        with storage.open(key) as reader:
            while block := reader.read(BLOCK):
                digest.update(block)
    except OSError as error:
        raise StorageError(f"{key} cannot be read: {error.strerror or error}") from error
    return digest.hexdigest()


def discard(storage: Storage, prefix: str) -> None:
    """Delete objects that are no longer needed; a StorageError is logged only."""
    try:
        storage.delete(prefix)
    except StorageError as error:
        log.warning("objects that are no longer needed stay in the storage: %s", error)


def described(key: str, size: int, sha256: str) -> Artifact:
    """Describe an object by its key, size and sum."""
    path = PurePosixPath(key)
    return Artifact(path.name, key, size, sha256, MEDIA_TYPES.get(path.suffix, "application/octet-stream"))


def parts_of(key: str) -> tuple[str, ...]:
    """The parts of a key. Raises StorageError if it is not a valid key."""
    parts = PurePosixPath(key).parts
    if not parts or any(part in ("..", "/") for part in parts):
        raise StorageError(f"{key!r} is not a storage key")
    return parts
