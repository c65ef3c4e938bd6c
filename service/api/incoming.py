"""A file of a request body, checked while it arrives: against the quota, the limits of size and time, and the disk."""

import io
import os
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from flask import request
from werkzeug.exceptions import RequestEntityTooLarge, RequestTimeout

from service.core.errors import DiskFull, QuotaExceeded
from service.core.settings import Settings
from service.core.sql.usage import RETRY_SECONDS
from service.core.system import DISK_FULL, refuse_full_disk

LONGEST_SECONDS = 3600.0
BLOCK = 1 << 20  # bytes at a time


@dataclass
class Allowance:
    """What the files of one request may take together.

    `room` are the bytes that the tenant's quota leaves (None: no quota), `most` those of any upload, `reserve` those
    that stay free on the disk of `folder`.
    """

    folder: Path
    room: int | None
    most: int
    reserve: int
    _size: int = 0
    _began: float = field(default_factory=time.monotonic)

    def refuse_beyond(self, size: int) -> None:
        """Raises QuotaExceeded, DiskFull and werkzeug's 413 where `size` more bytes have no room."""
        size += self._size
        if self.room is not None and size > self.room:
            detail = "the upload exceeds your quota of storage; delete data sets, weights or jobs first"
            raise QuotaExceeded(detail, RETRY_SECONDS)
        if size > self.most:
            raise RequestEntityTooLarge(f"the upload is too large; allowed: {self.most:,} bytes")
        refuse_full_disk(self.folder, self.reserve)

    def refuse_copy(self, size: int) -> None:
        """Raises DiskFull where the storage, which may lie on the same disk, has no room for a copy."""
        refuse_full_disk(self.folder, self.reserve, size)

    def take(self, size: int) -> None:
        """Count bytes that have arrived. Raises what `refuse_beyond` raises, and werkzeug's 408."""
        self.refuse_beyond(size)
        self._size += size
        if time.monotonic() - self._began > LONGEST_SECONDS:
            raise RequestTimeout(f"the upload takes too long; allowed: {LONGEST_SECONDS:g} seconds")


def allowance_of(settings: Settings, room: int | None) -> Allowance:
    """The allowance of this request, in the folder of uploads; `room` as the quota leaves it."""
    folder = settings.home / "uploads"
    folder.mkdir(parents=True, exist_ok=True)
    return Allowance(folder, room, settings.max_upload_bytes, settings.disk_reserve_bytes)


class IncomingFile(io.FileIO):
    """A file without a name in the folder of the allowance: deleted however the request ends."""

    def __init__(self, allowance: Allowance) -> None:
        with tempfile.TemporaryFile(dir=allowance.folder) as file:
            super().__init__(os.dup(file.fileno()), "rb+")
        self._allowance = allowance

    def receive_body(self) -> None:
        """Write the body of this request. Raises what `Allowance.take` raises, and DiskFull."""
        self._allowance.refuse_beyond(request.content_length or 0)
        while block := request.stream.read(BLOCK):
            self.write(block)

    def write(self, block: bytes) -> int:  # type: ignore[override]  # of bytes only
        """Write a whole block. Raises what `Allowance.take` raises."""
        self._allowance.take(len(block))
        try:
            written = super().write(block)
        except OSError as error:
            if error.errno in DISK_FULL:
                raise DiskFull("the disk of the service is full; try again later") from error
            raise
        if written != len(block):
            raise DiskFull("the disk of the service is full; try again later")
        return written

    def finish(self) -> None:
        """Nothing more arrives. Raises DiskFull where there is no room to store the file."""
        self._allowance.refuse_copy(self.size)

    @property
    def size(self) -> int:
        """The bytes that have arrived."""
        return os.fstat(self.fileno()).st_size

    @property
    def path(self) -> Path:
        """A path that leads to the file while it is open."""
        return Path(f"/proc/self/fd/{self.fileno()}")
