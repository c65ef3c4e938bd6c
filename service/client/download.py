"""Downloads a file, continues one that is incomplete, and verifies its SHA-256; downloads an export."""

import hashlib
import os
import stat
from pathlib import Path
from typing import NamedTuple

import httpx

from service.client.errors import Damaged
from service.client.transport import Transport
from service.client.types import Json, Progress


class Artifact(NamedTuple):
    """A file to download: its path on the service and its entry in the manifest."""

    path: str
    name: str
    size: int  # bytes
    sha256: str


def artifact(path: str, name: str, manifest: list[Json]) -> Artifact:
    """A file that the manifest does not list has size 0 and no digest; the service answers 404 for it."""
    missing: Json = {"bytes": 0, "sha256": ""}
    entry = next((entry for entry in manifest if entry["name"] == name), missing)
    return Artifact(path, name, entry["bytes"], entry["sha256"])


def check_target(target: Path) -> None:
    """Raises FileNotFoundError if the folder does not exist and FileExistsError for anything but a regular file."""
    target.parent.stat()
    for path in (target, _part(target)):
        if os.path.lexists(path) and not stat.S_ISREG(path.lstat().st_mode):
            raise FileExistsError(f"{path} is not a regular file; it is not replaced")


def download(transport: Transport, source: Artifact, target: Path, progress: Progress | None) -> str:
    """Fetch an artifact into TARGET.part, verify it, and rename it to TARGET; returns its SHA-256.

    Raises Damaged if the digest differs from the manifest.
    """
    part = _part(target)
    was_begun = part.exists()
    _complete(transport, source, part, progress)
    if was_begun and sha256(part) != source.sha256:  # the part was of another file
        part.unlink()
        _complete(transport, source, part, progress)
    if (digest := sha256(part)) != source.sha256:
        part.unlink()
        raise Damaged(f"{source.name} arrived with SHA-256 {digest}, the manifest says {source.sha256}")
    part.replace(target)
    return digest


def export(transport: Transport, path: str, target: Path, progress: Progress | None) -> None:
    """Fetch a file without an entry in the manifest into TARGET.part, and rename it to TARGET.

    It is fetched from its start each time. Its Content-Length tells whether it is complete.
    """
    part = _part(target)
    transport.repeat(lambda: _whole(transport, path, part, progress))
    part.replace(target)


def sha256(path: Path) -> str:
    """The digest of a file in hexadecimal, as in a manifest."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _part(target: Path) -> Path:
    return target.with_name(f"{target.name}.part")


def _complete(transport: Transport, source: Artifact, part: Path, progress: Progress | None) -> None:
    """Bring a part to its full length. A connection that breaks off is made again and continues."""
    transport.repeat(lambda: _continue(transport, source, part, progress))


def _continue(transport: Transport, source: Artifact, part: Path, progress: Progress | None) -> None:
    done = part.stat().st_size if part.exists() else 0
    if 0 < done == source.size:
        return
    response = transport.open(source.path, {"Accept-Encoding": "identity", **_range(done, source)})
    try:
        is_partial = response.status_code == httpx.codes.PARTIAL_CONTENT
        _write(response, part, done if is_partial else 0, source.size, progress)
    finally:
        response.close()


def _whole(transport: Transport, path: str, part: Path, progress: Progress | None) -> None:
    response = transport.open(path, {"Accept-Encoding": "identity"})
    try:
        _write(response, part, 0, int(response.headers.get("Content-Length", 0)), progress)
    finally:
        response.close()


def _write(response: httpx.Response, part: Path, done: int, size: int, progress: Progress | None) -> None:
    """Write a body to a part behind its first `done` bytes; 0 replaces the part."""
    with part.open("ab" if done else "wb") as file:
        for block in response.iter_raw():
            done += file.write(block)
            if progress:
                progress(done, size)


def _range(done: int, source: Artifact) -> dict[str, str]:
    """Headers that ask for the rest of a file, and for all of it if it has changed: the entity tag is the digest."""
    if not 0 < done < source.size:
        return {}
    return {"Range": f"bytes={done}-", "If-Range": f'"{source.sha256}"'}
