"""Answers that are a zip of stored files, made while they are sent."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import BinaryIO

from flask import Response
from zipstream import ZipStream

from service.api.artifacts import open_artifact
from service.core.errors import ObjectMissing
from service.core.storage import Artifact
from service.core.storage.objects import BLOCK


def zip_answer(file_name: str, texts: Mapping[str, str], files: Mapping[str, tuple[str, Artifact]]) -> Response:
    """The texts and the files (each with the id of its job) as a zip, by their names there.

    The files are stored, not deflated: weights hardly shrink, and the length is known before the first byte. A response
    that ends early, because the storage failed, is therefore shorter than its Content-Length.
    """
    archive = ZipStream(sized=True)
    for name, text in texts.items():
        archive.add(text, name)
    with ExitStack() as opened:  # all files, before the answer starts: a missing one is a 503
        for name, (job_id, artifact) in files.items():
            file = opened.enter_context(open_artifact(job_id, artifact))
            archive.add(_blocks(file, artifact), name, size=artifact.bytes)
        kept_open = opened.pop_all()
    response = Response(iter(archive), mimetype="application/zip")
    response.call_on_close(kept_open.close)
    response.content_length = len(archive)
    response.headers.set("Content-Disposition", "attachment", filename=file_name)
    return response


def _blocks(file: BinaryIO, artifact: Artifact) -> Iterator[bytes]:
    """The content of a file. Raises StorageError, and ObjectMissing if it is not the file of the manifest."""
    digest = hashlib.sha256()
    while block := file.read(BLOCK):
        digest.update(block)
        yield block
    if digest.hexdigest() != artifact.sha256:
        raise ObjectMissing(f"{artifact.key} is damaged: its SHA-256 is not {artifact.sha256}")
