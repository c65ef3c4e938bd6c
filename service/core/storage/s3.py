"""Objects in a bucket of S3 or of a compatible server.

Credentials, region and endpoint come from the usual variables: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION,
AWS_ENDPOINT_URL (http:// is allowed there).
"""

import hashlib
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO
from uuid import uuid4

import obstore
from obstore.exceptions import BaseError, NotFoundError
from obstore.store import S3Store

from service.core.errors import ObjectMissing, StorageError
from service.core.storage.objects import BLOCK, Artifact, Storage, StoredObject, described, parts_of

CONNECT_SECONDS, REQUEST_SECONDS, RETRY_SECONDS = 5, 60, 30
MOST_RETRIES = 3


class S3Storage(Storage):
    """A bucket, and a prefix in it."""

    def __init__(self, bucket: str, prefix: str = "") -> None:
        self._store = S3Store(
            bucket,
            prefix=prefix or None,
            client_options={
                "allow_http": os.environ.get("AWS_ENDPOINT_URL", "").startswith("http://"),
                "connect_timeout": timedelta(seconds=CONNECT_SECONDS),
                "timeout": timedelta(seconds=REQUEST_SECONDS),
            },
            retry_config={"max_retries": MOST_RETRIES, "retry_timeout": timedelta(seconds=RETRY_SECONDS)},
        )

    def put(self, key: str, source: Path) -> Artifact:
        """Upload a file, in parts if it is large; S3 shows the whole object or none."""
        path = "/".join(parts_of(key))
        with _translated(f"{key} could not be stored"), source.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256")
            size = file.tell()
            file.seek(0)
            obstore.put(self._store, path, file)
        return described(key, size, digest.hexdigest())

    def open(self, key: str) -> BinaryIO:
        """The content, seekable, read from the bucket a megabyte at a time. Raises ObjectMissing."""
        with _translated(f"{key} cannot be read"):
            return io.BufferedReader(_Raw(self._store, "/".join(parts_of(key))), BLOCK)

    def delete(self, prefix: str) -> None:
        """Delete the object with that key and everything below it. A missing object is no error."""
        path = "/".join(parts_of(prefix))
        with _translated(f"{prefix} cannot be deleted"):
            for page in obstore.list(self._store, path):
                obstore.delete(self._store, [entry["path"] for entry in page])
            obstore.delete(self._store, path)

    def names(self, folder: str) -> Iterator[str]:
        """The names of the folders directly below a folder; none if it does not exist."""
        with _translated(f"{folder} cannot be listed"):
            listing = obstore.list_with_delimiter(self._store, "/".join(parts_of(folder)))
        yield from (PurePosixPath(prefix).name for prefix in listing["common_prefixes"])

    def objects(self, prefix: str) -> Iterator[StoredObject]:
        """All objects below a folder; none if it does not exist."""
        with _translated(f"{prefix} cannot be listed"):
            for page in obstore.list(self._store, "/".join(parts_of(prefix))):
                yield from (StoredObject(e["path"], e["size"], e["last_modified"].timestamp()) for e in page)

    def check(self) -> None:
        """Write and delete a probe. Raises StorageError if that fails."""
        probe = f".probe-{uuid4().hex}"
        with _translated("the storage cannot be written"):
            obstore.put(self._store, probe, b"x")
            obstore.delete(self._store, probe)


class _Raw(io.RawIOBase):
    """An object as a raw stream of Python."""

    def __init__(self, store: S3Store, path: str) -> None:
        self._path = path
        self._reader = obstore.open_reader(store, path)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._reader.seek(offset, whence)

    def tell(self) -> int:
        return self._reader.tell()

    def readinto(self, target: Any) -> int:
        room = memoryview(target)
        with _translated(f"{self._path} cannot be read"):
            data = bytes(self._reader.read(len(room)))
        room[: len(data)] = data
        return len(data)


@contextmanager
def _translated(what: str) -> Iterator[None]:
    """Translate errors of the library and the system into StorageError."""
    try:
        yield
    except (NotFoundError, FileNotFoundError) as error:
        raise ObjectMissing(f"{what}: it does not exist") from error
    except (BaseError, OSError) as error:
        raise StorageError(f"{what}: {str(error).splitlines()[0]}") from error
