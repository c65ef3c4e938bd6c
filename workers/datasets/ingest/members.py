"""The files in an archive, one by one, each checked before it is read. Nothing is extracted to a path.

An archive is refused if it has a member that is no plain file, or whose name leads out of the archive's root: such a
member is not made by accident.
"""

import gzip
import io
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from service.core.errors import InvalidData

BROKEN = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    EOFError,
    OSError,
    NotImplementedError,
    RuntimeError,
    ValueError,
)
MOST_MEMBERS = 1_000_000
MOST_FILE_BYTES = 64 << 20  # one picture
MOST_RATIO, FREE_BYTES = 200, 1 << 20  # unpacked to packed, of what is larger than a megabyte unpacked
LONGEST_NAME, DEEPEST = 1024, 32  # characters, folders
BLOCK = 1 << 20
ENCRYPTED = 0x1
TAR_BLOCK = 512


@dataclass(frozen=True)
class Member:
    """One plain file or folder; `name` is relative with forward slashes. `read` raises InvalidData, and is called
    before the next member is asked for, or not at all.
    """

    name: str
    read: Callable[[], bytes] = bytes
    is_folder: bool = False


def members(path: Path, kind: str, most_bytes: int) -> Iterator[Member]:
    """What is in a zip, tar or tar.gz, at most `most_bytes` of it unpacked. Raises InvalidData."""
    unpacked = _zip(path, most_bytes) if kind == "zip" else _tar(path, kind, most_bytes)
    names: set[str] = set()
    for count, member in enumerate(unpacked):
        if count >= MOST_MEMBERS:
            raise InvalidData(f"the archive holds too many files; at most {MOST_MEMBERS:,}")
        if member.name in names and not member.is_folder:
            raise InvalidData(f"{member.name!r} is in the archive twice")
        names.add(member.name)
        yield member


def _zip(path: Path, most_bytes: int) -> Iterator[Member]:
    total = 0
    try:
        archive = zipfile.ZipFile(path)
    except BROKEN as error:
        raise InvalidData(f"the body is not a whole zip archive: {error}") from error
    with archive:
        for info in sorted(archive.infolist(), key=lambda info: info.filename):
            name = _safe(info.filename)
            kind = stat.S_IFMT(info.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise InvalidData(f"{name!r} is not a plain file but {_words(kind)}")
            if info.is_dir():
                yield Member(name, is_folder=True)
                continue
            _refuse_nameless(name)
            if info.flag_bits & ENCRYPTED:
                raise InvalidData(f"{name!r} is encrypted")
            if info.file_size > max(FREE_BYTES, MOST_RATIO * info.compress_size):
                ratio = info.file_size // max(1, info.compress_size)
                raise InvalidData(f"{name!r} is packed {ratio} times smaller than it is: that is a bomb, no picture")
            total = _counted(name, info.file_size, total, most_bytes)
            yield Member(name, lambda info=info, name=name: _zipped(archive, info, name))  # type: ignore[misc]


def _zipped(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str) -> bytes:
    try:
        with archive.open(info) as file:
            return file.read(info.file_size + 1)
    except BROKEN as error:
        raise InvalidData(f"{name!r} cannot be unpacked: {error}") from error


def _tar(path: Path, kind: str, most_bytes: int) -> Iterator[Member]:
    total = 0
    with path.open("rb") as file:
        packed: BinaryIO = gzip.GzipFile(fileobj=file) if kind == "tar.gz" else file  # type: ignore[assignment]
        stream = _Counted(packed, most_bytes, path.stat().st_size)
        try:
            with tarfile.open(fileobj=stream, mode="r|", tarinfo=_Header) as archive:
                while (info := archive.next()) is not None:
                    archive.members.clear()  # type: ignore[attr-defined]  # it would keep every one of them
                    name = _safe(info.name)
                    if info.isdir():
                        yield Member(name, is_folder=True)
                        continue
                    _refuse_nameless(name)
                    if not info.isreg() or info.issparse():
                        raise InvalidData(f"{name!r} is not a plain file but {_tar_words(info)}")
                    total = _counted(name, info.size, total, most_bytes)
                    yield Member(name, lambda info=info: _untarred(archive, info))  # type: ignore[misc]
            stream.drain()
        except BROKEN as error:
            raise InvalidData(f"the body is not a whole {kind} archive: {error}") from error
        if any(stream.tail):
            raise InvalidData(f"the body is not a whole {kind} archive: it ends before its end")


class _Header(tarfile.TarInfo):
    """Raises InvalidData for a broken header: tarfile takes any but the first for the end of the archive."""

    @classmethod
    def fromtarfile(cls, tarfile_: tarfile.TarFile) -> "_Header":
        try:
            return super().fromtarfile(tarfile_)
        except (tarfile.EOFHeaderError, tarfile.EmptyHeaderError):  # type: ignore[attr-defined]  # not in the stubs
            raise
        except tarfile.HeaderError as error:
            raise InvalidData(f"the body is not a whole tar archive: a header is broken: {error}") from error


def _untarred(archive: tarfile.TarFile, info: tarfile.TarInfo) -> bytes:
    try:
        file = archive.extractfile(info)
        return file.read() if file else b""
    except BROKEN as error:
        raise InvalidData(f"{info.name!r} cannot be unpacked: {error}") from error


class _Counted(io.RawIOBase):
    """A stream that raises InvalidData beyond its limits, and keeps its last block as `tail`."""

    def __init__(self, source: BinaryIO, most: int, packed: int) -> None:
        self._source, self._most, self._packed = source, most, packed
        self._given = 0
        self.tail = b"\1"

    def read(self, size: int = -1) -> bytes:  # a raw stream may return None, this one does not
        block = self._source.read(size if size >= 0 else BLOCK)
        self._given += len(block)
        if self._given > self._most + TAR_BLOCK * MOST_MEMBERS:
            raise InvalidData(f"the archive unpacks to more than {self._most:,} bytes")
        if self._given > max(MOST_FILE_BYTES, MOST_RATIO * self._packed):
            raise InvalidData(f"the archive is packed over {MOST_RATIO} times smaller than it is: that is a bomb")
        if block:
            self.tail = (self.tail + block)[-TAR_BLOCK:]
        return block

    def drain(self) -> None:
        """Read the rest: a gzip stream is checked only at its end."""
        while self.read(BLOCK):
            pass


def _counted(name: str, size: int, total: int, most_bytes: int) -> int:
    if size > MOST_FILE_BYTES:
        raise InvalidData(f"{name!r} has {size:,} bytes unpacked; at most {MOST_FILE_BYTES:,} for one picture")
    if total + size > most_bytes:
        raise InvalidData(f"the archive unpacks to more than {most_bytes:,} bytes")
    return total + size


def _safe(name: str) -> str:
    """The name with forward slashes. Raises InvalidData unless it stays below the root."""
    shown = ascii(name[:100])
    parts = name.replace("\\", "/").split("/")
    if name.startswith(("/", "\\")) or (len(name) > 1 and name[1] == ":"):
        raise InvalidData(f"{shown} is an absolute path")
    if ".." in parts:
        raise InvalidData(f"{shown} leads out of the archive")
    if len(name) > LONGEST_NAME or len(parts) > DEEPEST:
        raise InvalidData(
            f"{shown} is too long or too deep a path; at most {LONGEST_NAME} characters and {DEEPEST} folders"
        )
    if not name.isprintable():
        raise InvalidData(f"{shown} is not a readable name in UTF-8")
    return "/".join(part for part in parts if part not in ("", "."))


def _refuse_nameless(name: str) -> None:
    if not name:
        raise InvalidData("a file in the archive has no name")


def _words(kind: int) -> str:
    words = {stat.S_IFLNK: "a symbolic link", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
    return words.get(kind, "a device")


def _tar_words(info: tarfile.TarInfo) -> str:
    if info.issym() or info.islnk():
        return "a symbolic link" if info.issym() else "a hard link"
    if info.isfifo():
        return "a pipe"
    return "a device" if info.isdev() else "of another kind"
