"""Stores artifacts and checkpoints in a local folder or an S3 bucket."""

import os
import re
from pathlib import Path

from service.core.errors import SettingsError
from service.core.storage.local import LocalStorage
from service.core.storage.monitored import MonitoredStorage
from service.core.storage.objects import Artifact, Storage, StoredObject, discard

S3_URL = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(.*?))?/?")

__all__ = ["Artifact", "LocalStorage", "MonitoredStorage", "Storage", "StoredObject", "discard", "open_storage"]


def open_storage(url: str) -> Storage:
    """The storage that RIGHTFIT_STORAGE_URL names: a folder's path, file:///path, or s3://bucket/prefix."""
    if match := S3_URL.fullmatch(url):
        if os.environ.get("AWS_ENDPOINT_URL") == "":
            raise SettingsError("AWS_ENDPOINT_URL is empty; allowed: the address of an S3 server, or unset")
        from service.core.storage.s3 import S3Storage  # noqa: PLC0415 - the library is large: import it only when needed

        return S3Storage(match[1], match[2] or "")
    path = url.removeprefix("file://")
    if "://" in path:
        allowed = "a folder's path, file:///path or s3://bucket/prefix"
        raise SettingsError(f"RIGHTFIT_STORAGE_URL is {url!r}; allowed: {allowed}")
    return LocalStorage(Path(path).resolve())
