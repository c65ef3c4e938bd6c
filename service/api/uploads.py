"""A data set's bytes on their way in: to a file, with their sum, never held in memory."""

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from flask import request
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge, ServiceUnavailable, UnsupportedMediaType

from service.api.context import parts
from service.core.errors import Fault, Invalid

BLOCK = 1 << 20
TYPES = {
    "application/zip": "zip", "application/x-zip-compressed": "zip", "application/x-tar": "tar",
    "application/gzip": "tar.gz", "application/x-gzip": "tar.gz", "application/x-npz": "npz",
}  # fmt: skip
ALLOWED = (
    "application/zip, application/x-tar, application/gzip (a tar.gz), application/x-npz, or multipart/form-data with "
    "the fields name and file"
)
ENDINGS = {".zip": "zip", ".tar": "tar", ".tar.gz": "tar.gz", ".tgz": "tar.gz", ".npz": "npz"}
LONGEST_NAME = 100


@dataclass(frozen=True)
class Upload:
    """What was sent, in a file that is gone after the block. `format` is zip, tar, tar.gz or npz."""

    name: str
    format: str
    path: Path
    sha256: str


@contextmanager
def received(name: str | None) -> Iterator[Upload]:
    """The data set in the body of this request. Raises Invalid, and werkzeug's 400, 413, 415 and 503."""
    settings = parts().settings
    request.max_content_length = settings.max_upload_bytes
    if not parts().uploading.acquire(blocking=False):
        raise ServiceUnavailable("too many uploads at once; try again")
    try:
        settings.home.joinpath("uploads").mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=settings.home / "uploads") as target:
            if request.mimetype == "multipart/form-data":
                name, kind, digest = _form(name, target)
            else:
                kind = _type()
                digest = _copied(request.stream, target)
            yield Upload(_named(name), kind, Path(target.name), digest)
    finally:
        parts().uploading.release()


def _type() -> str:
    if request.mimetype not in TYPES:
        raise UnsupportedMediaType(f"a data set is sent as {ALLOWED}; this is {request.mimetype or 'of no type'}")
    return TYPES[request.mimetype]


def _form(name: str | None, target: IO[bytes]) -> tuple[str | None, str, str]:
    file = request.files.get("file")
    if file is None:
        raise Invalid([Fault("/file", "the form has no file in it", "a field `file` with an archive or an npz")])
    kind = next((kind for ending, kind in ENDINGS.items() if (file.filename or "").lower().endswith(ending)), None)
    kind = TYPES.get(file.mimetype) or kind
    if kind is None:
        raise UnsupportedMediaType(f"the file is sent as one of {', '.join(ENDINGS)}; this is {file.filename!r}")
    return request.form.get("name") or name or file.filename, kind, _copied(file.stream, target)


def _copied(source: IO[bytes], target: IO[bytes]) -> str:
    most = parts().settings.max_upload_bytes
    digest, size = hashlib.sha256(), 0
    while block := source.read(BLOCK):
        digest.update(block)
        size += target.write(block)
        if size > most:
            raise RequestEntityTooLarge(f"a data set may have {most:,} bytes")
    if request.content_length is None and size >= most:  # a chunked body ends there without a word
        raise RequestEntityTooLarge(f"a data set may have less than {most:,} bytes")
    if size == 0:
        raise BadRequest("the body is empty; send an archive or an npz")
    target.flush()
    return digest.hexdigest()


def _named(name: str | None) -> str:
    name = (name or "").strip()
    if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable():
        detail = "the data set needs a name that can be read"
        raise Invalid([Fault("/name", detail, f"1 to {LONGEST_NAME} characters, by ?name= or the field name")])
    return name
