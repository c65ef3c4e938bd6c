"""Receiving the bytes of a data set, into a file and not into memory."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from flask import request
from werkzeug.exceptions import (
    BadRequest,
    RequestEntityTooLarge,
    RequestTimeout,
    UnsupportedMediaType,
)

from service.api.form import check_form
from service.core.errors import Fault, Invalid, QuotaExceeded
from service.core.sql.usage import RETRY_SECONDS
from service.core.text import shortened
from service.http.auth import tenant
from service.services import services

BLOCK = 1 << 20
LONGEST_SECONDS = 3600.0
TYPES = {
    "application/zip": "zip",
    "application/x-zip-compressed": "zip",
    "application/x-tar": "tar",
    "application/gzip": "tar.gz",
    "application/x-gzip": "tar.gz",
    "application/x-npz": "npz",
}
ALLOWED = (
    "application/zip, application/x-tar, application/gzip (a tar.gz), application/x-npz, or multipart/form-data with "
    "the fields name and file"
)
ENDINGS = {".zip": "zip", ".tar": "tar", ".tar.gz": "tar.gz", ".tgz": "tar.gz", ".npz": "npz"}
LONGEST_NAME = 100


@dataclass(frozen=True)
class Upload:
    """An uploaded file, deleted at the end of the block. `format` is zip, tar, tar.gz or npz."""

    name: str
    format: str
    path: Path


@contextmanager
def received(name: str | None, room: int | None) -> Iterator[Upload]:
    """Receive the data set in the body of this request, up to `room` bytes (None: no limit).

    Raises Invalid, QuotaExceeded, and werkzeug's 400, 413, 415 and 503.
    """
    settings = services().settings
    request.max_content_length = settings.max_upload_bytes
    uploads = settings.home / "uploads"
    uploads.mkdir(parents=True, exist_ok=True)
    with (
        services().uploading.hold(tenant(), "too many uploads are running; try again"),
        tempfile.TemporaryFile(dir=uploads) as target,  # without a name: deleted however the request ends
    ):
        _refuse_beyond(room, request.content_length or 0)
        if request.mimetype == "multipart/form-data":
            name, kind, source = _form(name)
        else:
            kind, source = _type(), request.stream
        _copy(source, target, room)
        yield Upload(_named(name), kind, Path(f"/proc/self/fd/{target.fileno()}"))


def _type() -> str:
    if request.mimetype not in TYPES:
        raise UnsupportedMediaType(
            f"the Content-Type is {shortened(request.mimetype) or 'missing'}; allowed: {ALLOWED}"
        )
    return TYPES[request.mimetype]


def _form(name: str | None) -> tuple[str | None, str, IO[bytes]]:
    check_form(files=("file",), texts=("name",))
    file = request.files.get("file")
    if file is None:
        raise Invalid([Fault("/file", "the form has no file", "a field `file` with an archive or an npz")])
    by_name = next((kind for ending, kind in ENDINGS.items() if (file.filename or "").lower().endswith(ending)), None)
    kind = TYPES.get(file.mimetype) or by_name
    if kind is None:
        raise UnsupportedMediaType(f"the file is {shortened(file.filename or '')!r}; allowed: {', '.join(ENDINGS)}")
    return request.form.get("name") or name or file.filename, kind, file.stream


def _copy(source: IO[bytes], target: IO[bytes], room: int | None) -> None:
    most, size, began = services().settings.max_upload_bytes, 0, time.monotonic()
    while block := source.read(BLOCK):
        size += target.write(block)
        _refuse_beyond(room, size)
        if time.monotonic() - began > LONGEST_SECONDS:
            raise RequestTimeout(f"the upload takes too long; allowed: {LONGEST_SECONDS:g} seconds")
        if size > most:
            raise RequestEntityTooLarge(f"the data set is too large; allowed: {most:,} bytes")
    if request.content_length is None and size >= most:  # werkzeug cuts a chunked body at the limit without an error
        raise RequestEntityTooLarge(f"the data set is too large; allowed: less than {most:,} bytes")
    if size == 0:
        raise BadRequest("the body is empty; send an archive or an npz")
    target.flush()


def _refuse_beyond(room: int | None, size: int) -> None:
    if room is not None and size > room:
        raise QuotaExceeded("the data set exceeds your quota of storage; delete data sets or jobs first", RETRY_SECONDS)


def _named(name: str | None) -> str:
    name = (name or "").strip()
    if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable():
        detail = "the data set needs a printable name"
        raise Invalid([Fault("/name", detail, f"1 to {LONGEST_NAME} characters, in ?name= or in the form field name")])
    return name
