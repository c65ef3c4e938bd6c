"""Receiving the bytes and the options of a data set, into files and not into memory."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from flask import request
from marshmallow import ValidationError
from werkzeug.datastructures import FileStorage
from werkzeug.exceptions import (
    BadRequest,
    RequestEntityTooLarge,
    RequestTimeout,
    UnsupportedMediaType,
)

from service.api.form import check_form
from service.core.errors import Fault, Invalid, QuotaExceeded
from service.core.file_names import LABEL_ENDINGS
from service.core.records.dataset import ReadingOptions
from service.core.sql.usage import RETRY_SECONDS
from service.core.text import control_character
from service.http.auth import tenant
from service.schemas.datasets import UploadQuerySchema
from service.schemas.problem import faults
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
    "the fields file and, if you like, name, labels, skip_broken and background"
)
ENDINGS = {".zip": "zip", ".tar": "tar", ".tar.gz": "tar.gz", ".tgz": "tar.gz", ".npz": "npz"}
LONGEST_NAME = 100
MOST_LABEL_BYTES = 64 << 20


@dataclass(frozen=True)
class LabelFile:
    """A label file sent beside a data set; `name` is labels.csv, labels.tsv, labels.jsonl or labels.ndjson."""

    name: str
    path: Path


@dataclass(frozen=True)
class Upload:
    """An uploaded file, deleted at the end of the block. `format` is zip, tar, tar.gz or npz."""

    name: str
    format: str
    path: Path
    options: ReadingOptions
    labels: LabelFile | None = None


@contextmanager
def received(query: dict[str, Any], room: int | None) -> Iterator[Upload]:
    """Receive the data set in the body of this request, up to `room` bytes (None: no limit).

    `query` is what UploadQuerySchema loads; fields of a form overrule it. Raises Invalid, QuotaExceeded, and werkzeug's
    400, 413, 415 and 503.
    """
    settings = services().settings
    request.max_content_length = settings.max_upload_bytes
    uploads = settings.home / "uploads"
    uploads.mkdir(parents=True, exist_ok=True)
    with (
        services().uploading.hold(tenant(), "too many uploads are running; try again"),
        tempfile.TemporaryFile(dir=uploads) as target,  # without a name: deleted however the request ends
        tempfile.TemporaryFile(dir=uploads) as beside,
    ):
        _refuse_beyond(room, request.content_length or 0)
        labels = None
        if request.mimetype == "multipart/form-data":
            kind, source = _form()
            query = {**query, "name": query["name"] or request.files["file"].filename, **_fields()}
            labels = _labels(request.files.get("labels"), kind, beside)
        else:
            kind, source = _type(), request.stream
        _copy(source, target, room)
        options = ReadingOptions(query["skip_broken"], query["background"])
        yield Upload(_named(query["name"]), kind, _path(target), options, labels)


def _path(file: IO[bytes]) -> Path:
    return Path(f"/proc/self/fd/{file.fileno()}")


def _type() -> str:
    if request.mimetype not in TYPES:
        raise UnsupportedMediaType(f"the Content-Type is {request.mimetype or 'missing'}; allowed: {ALLOWED}")
    return TYPES[request.mimetype]


def _fields() -> dict[str, Any]:
    """The fields of the form that are no files. Raises Invalid."""
    given = {name: value for name, value in request.form.items() if value}
    schema = UploadQuerySchema(partial=True)
    try:
        loaded: dict[str, Any] = schema.load(given)
    except ValidationError as error:
        raise Invalid(list(faults(error.messages, schema, given))) from error
    return loaded


def _labels(file: FileStorage | None, kind: str, target: IO[bytes]) -> LabelFile | None:
    if file is None or not file.filename:  # a browser sends a part without a name for a field that was left empty
        return None
    allowed = f"a file {', '.join(LABEL_ENDINGS)} of at most {MOST_LABEL_BYTES:,} bytes, beside an archive"
    name = file.filename
    ending = next((ending for ending in LABEL_ENDINGS if name.lower().endswith(ending)), None)
    if ending is None or kind == "npz":
        detail = f"the label file is {name!r}" if ending is None else "an npz has its labels in y"
        raise Invalid([Fault("/labels", detail, allowed)])
    if target.write(file.stream.read(MOST_LABEL_BYTES + 1)) > MOST_LABEL_BYTES:
        raise Invalid([Fault("/labels", "the label file is too large", allowed)])
    target.flush()
    return LabelFile(f"labels{ending}", _path(target))


def _form() -> tuple[str, IO[bytes]]:
    check_form(files=("file", "labels"), texts=("name", "skip_broken", "background"))
    file = request.files.get("file")
    if file is None:
        raise Invalid([Fault("/file", "the form has no file", "a field `file` with an archive or an npz")])
    by_name = next((kind for ending, kind in ENDINGS.items() if (file.filename or "").lower().endswith(ending)), None)
    kind = TYPES.get(file.mimetype) or by_name
    if kind is None:
        raise UnsupportedMediaType(f"the file is {file.filename!r}; allowed: {', '.join(ENDINGS)}")
    return kind, file.stream


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
    if not 1 <= len(name) <= LONGEST_NAME or control_character(name):
        detail = "the data set needs a name without control characters"
        raise Invalid([Fault("/name", detail, f"1 to {LONGEST_NAME} characters, in ?name= or in the form field name")])
    return name
