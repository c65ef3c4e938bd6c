"""Receiving the bytes and the options of a data set, into files and not into memory."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask import request
from marshmallow import ValidationError
from werkzeug.datastructures import FileStorage
from werkzeug.exceptions import BadRequest, UnsupportedMediaType
from werkzeug.formparser import FormDataParser

from service.api.form import Form, check_form
from service.api.incoming import Allowance, IncomingFile, allowance_of
from service.core.errors import Fault, Invalid
from service.core.records.dataset import ReadingOptions
from service.core.text import control_character, shortened
from service.core.text.file_names import LABEL_ENDINGS
from service.http.auth import tenant
from service.schemas.datasets import UploadQuerySchema
from service.schemas.problem import faults
from service.services import services

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
    "the field file and the optional fields name, labels, skip_broken and background"
)
ENDINGS = {".zip": "zip", ".tar": "tar", ".tar.gz": "tar.gz", ".tgz": "tar.gz", ".npz": "npz"}
LONGEST_NAME = 100
MOST_LABEL_BYTES = 64 << 20
MOST_FORM_BYTES, MOST_PARTS = 1 << 20, 16  # of a form beside its files; of a form


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

    `query` is what UploadQuerySchema loads; fields of a form overrule it. Raises Invalid, QuotaExceeded, DiskFull, and
    werkzeug's 400, 408, 413, 415 and 503.
    """
    allowance = allowance_of(services().settings, room)
    request.max_content_length = allowance.most + MOST_FORM_BYTES
    with services().uploading.hold(tenant(), "too many uploads are running; try again"):
        if request.mimetype == "multipart/form-data":
            yield from _of_form(query, allowance)
        else:
            yield from _of_body(query, allowance)


def _of_body(query: dict[str, Any], allowance: Allowance) -> Iterator[Upload]:
    kind = _type()
    with IncomingFile(allowance) as file:
        file.receive_body()
        yield _upload(query, kind, file, None)


def _of_form(query: dict[str, Any], allowance: Allowance) -> Iterator[Upload]:
    allowance.refuse_beyond(max(0, (request.content_length or 0) - MOST_FORM_BYTES))
    with ExitStack() as files:
        form = _received_form(lambda: files.enter_context(IncomingFile(allowance)))
        file, kind = _file(form)
        query = {**query, "name": query["name"] or file.filename, **_fields(form)}
        yield _upload(query, kind, _incoming(file), _labels(form, kind))


def _received_form(new_file: Callable[[], IncomingFile]) -> Form:
    parser = FormDataParser(
        stream_factory=lambda *_, **__: new_file(),
        max_form_memory_size=MOST_FORM_BYTES,
        max_form_parts=MOST_PARTS,
    )
    type_, options = request.mimetype, request.mimetype_params
    _, texts, files = parser.parse(request.stream, type_, request.content_length, dict(options))
    return Form(files, texts)


def _incoming(file: FileStorage) -> IncomingFile:
    stream: IncomingFile = file.stream  # type: ignore[assignment]  # as the parser's stream_factory made it
    return stream


def _upload(query: dict[str, Any], kind: str, file: IncomingFile, labels: LabelFile | None) -> Upload:
    if not file.size:
        raise BadRequest("the body is empty; send an archive or an npz")
    file.finish()
    options = ReadingOptions(query["skip_broken"], query["background"])
    return Upload(checked_name(query["name"]), kind, file.path, options, labels)


def _type() -> str:
    if request.mimetype not in TYPES:
        raise UnsupportedMediaType(
            f"the Content-Type is {shortened(request.mimetype) or 'missing'}; allowed: {ALLOWED}"
        )
    return TYPES[request.mimetype]


def _fields(form: Form) -> dict[str, Any]:
    """The fields of the form that are no files. Raises Invalid."""
    given = {name: value for name, value in form.texts.items() if value}
    schema = UploadQuerySchema(partial=True)
    try:
        loaded: dict[str, Any] = schema.load(given)
    except ValidationError as error:
        raise Invalid(list(faults(error.messages, schema, given))) from error
    return loaded


def _labels(form: Form, kind: str) -> LabelFile | None:
    file = form.files.get("labels")
    if file is None or not file.filename:  # a browser sends a part without a name for a field that was left empty
        return None
    allowed = f"a file {', '.join(LABEL_ENDINGS)} of at most {MOST_LABEL_BYTES:,} bytes, beside an archive"
    name = file.filename
    ending = next((ending for ending in LABEL_ENDINGS if name.lower().endswith(ending)), None)
    if ending is None or kind == "npz":
        detail = f"the label file is {name!r}" if ending is None else "an npz has its labels in y"
        raise Invalid([Fault("/labels", detail, allowed)])
    if _incoming(file).size > MOST_LABEL_BYTES:
        raise Invalid([Fault("/labels", "the label file is too large", allowed)])
    return LabelFile(f"labels{ending}", _incoming(file).path)


def _file(form: Form) -> tuple[FileStorage, str]:
    """The data set in the form, and its format. Raises Invalid and werkzeug's 415."""
    check_form(form, files=("file", "labels"), texts=("name", "skip_broken", "background"))
    file = form.files.get("file")
    if file is None:
        raise Invalid([Fault("/file", "the form has no file", "a field `file` with an archive or an npz")])
    by_name = next((kind for ending, kind in ENDINGS.items() if (file.filename or "").lower().endswith(ending)), None)
    kind = TYPES.get(file.mimetype) or by_name
    if kind is None:
        raise UnsupportedMediaType(f"the file is {shortened(file.filename or '')!r}; allowed: {', '.join(ENDINGS)}")
    return file, kind


def checked_name(name: str | None) -> str:
    """The name of what is uploaded. Raises Invalid."""
    name = (name or "").strip()
    if not 1 <= len(name) <= LONGEST_NAME or control_character(name):
        detail = "the upload needs a name without control characters"
        raise Invalid([Fault("/name", detail, f"1 to {LONGEST_NAME} characters, in ?name= or in the form field name")])
    return name
