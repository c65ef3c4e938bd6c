"""The files in an archive, one by one, each checked before it is read. Nothing is extracted to a path.

An archive is refused if it has a member that is no plain file, or whose name leads out of the archive's root: such a
member is not made by accident. Files that an operating system leaves behind are passed over.
"""

import gzip
import io
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, BinaryIO

from service.core.errors import InvalidData
from service.core.text.file_names import is_litter
from workers.datasets.ingest.names import Decoder, cleaned, refuse_leading_out, refuse_unreadable

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
BLOCK = 1 << 20
ENCRYPTED = 0x1
TAR_BLOCK = 512


@dataclass(frozen=True)
class Member:
    """One plain file or folder; `name` is relative with forward slashes."""

    name: str
    size: int = 0  # bytes
    is_folder: bool = False
    open: Callable[[], IO[bytes]] = io.BytesIO

    def read(self, most: int | None = None) -> bytes:
        """The content, or its first `most` bytes. To be called before the next member is asked for, and once.

        Raises InvalidData, without the name of the member.
        """
        if most is None and self.size > MOST_FILE_BYTES:
            raise InvalidData(f"it has {self.size:,} bytes unpacked; at most {MOST_FILE_BYTES:,}")
        try:
            with self.open() as file:
                return file.read(self.size + 1 if most is None else most)
        except BROKEN as error:
            raise InvalidData(f"it cannot be unpacked: {error}") from error


@dataclass
class Archive:
    """A zip, tar or tar.gz, of which at most `most_bytes` are unpacked.

    `litter` counts the files that the last reading passed over.
    """

    path: Path
    kind: str
    most_bytes: int
    names: Decoder = field(default_factory=Decoder)
    litter: int = 0

    def members(self) -> Iterator[Member]:
        """What is in the archive, without litter. Raises InvalidData."""
        self.names, self.litter = Decoder(), 0
        unpacked = _zip(self) if self.kind == "zip" else _tar(self)
        names: set[str] = set()
        for count, member in enumerate(unpacked):
            if count >= MOST_MEMBERS:
                raise InvalidData(f"the archive holds too many files; at most {MOST_MEMBERS:,}")
            if member.name in names and not member.is_folder:
                raise InvalidData(f"{member.name!r} is in the archive twice")
            names.add(member.name)
            if is_litter(member.name):
                self.litter += not member.is_folder
                continue
            refuse_unreadable(member.name)
            yield member


def _zip(source: Archive) -> Iterator[Member]:
    total = 0
    try:
        archive = zipfile.ZipFile(source.path)
    except BROKEN as error:
        raise InvalidData(f"the body is not a whole zip archive: {error}") from error
    with archive:
        for info in sorted(archive.infolist(), key=lambda info: info.filename):
            stored_name = source.names.of_zip(info)
            name = _safe(stored_name)
            kind = stat.S_IFMT(info.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise InvalidData(f"{name!r} is not a plain file but {_words(kind)}")
            is_of_dotnet = stored_name.endswith("\\") and not info.file_size  # it writes backslashes
            if stored_name.endswith("/") or is_of_dotnet:
                yield from _folder(name)
                continue
            if info.flag_bits & ENCRYPTED:
                raise InvalidData(f"{name!r} is encrypted")
            refuse_bomb(info, name)
            total = _counted(info.file_size, total, source.most_bytes)
            yield Member(name, info.file_size, open=partial(archive.open, info))


def refuse_bomb(info: zipfile.ZipInfo, name: str) -> None:
    """Raises InvalidData for a member of a zip that is packed too well."""
    if info.file_size > max(FREE_BYTES, MOST_RATIO * info.compress_size):
        ratio = info.file_size // max(1, info.compress_size)
        allowed = f"at most {MOST_RATIO} times beyond {FREE_BYTES:,} bytes"
        raise InvalidData(f"{name!r} is packed {ratio} times smaller than it is: that is a bomb; allowed: {allowed}")


def _folder(name: str) -> Iterator[Member]:
    """A folder, unless it is the root."""
    if name:
        yield Member(name, is_folder=True)


def _tar(source: Archive) -> Iterator[Member]:
    total, kind = 0, source.kind
    with source.path.open("rb") as file:
        packed: BinaryIO = gzip.GzipFile(fileobj=file) if kind == "tar.gz" else file  # type: ignore[assignment]
        stream = _Counted(packed, source.most_bytes, source.path.stat().st_size)
        try:
            with tarfile.open(fileobj=stream, mode="r|", tarinfo=_Header) as archive:
                while (info := archive.next()) is not None:
                    archive.members.clear()  # type: ignore[attr-defined]  # it would keep every one of them
                    name = _safe(source.names.of_tar(info.name))
                    if info.isdir():
                        yield from _folder(name)
                        continue
                    if not info.isreg() or info.issparse():
                        raise InvalidData(f"{name!r} is not a plain file but {_tar_words(info)}")
                    total = _counted(info.size, total, source.most_bytes)
                    yield Member(name, info.size, open=partial(_untarred, archive, info))
            stream.drain()
        except BROKEN as error:
            raise InvalidData(f"the body is not a whole {kind} archive: {error}") from error
        if any(stream.tail):
            raise InvalidData(f"the body is not a whole {kind} archive: it is cut off")


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


def _untarred(archive: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    return archive.extractfile(info) or io.BytesIO()


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


def _counted(size: int, total: int, most_bytes: int) -> int:
    if total + size > most_bytes:
        raise InvalidData(f"the archive unpacks to more than {most_bytes:,} bytes")
    return total + size


def _safe(name: str) -> str:
    refuse_leading_out(name)
    return cleaned(name)


def _words(kind: int) -> str:
    words = {stat.S_IFLNK: "a symbolic link", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
    return words.get(kind, "a device")


def _tar_words(info: tarfile.TarInfo) -> str:
    if info.issym() or info.islnk():
        return "a symbolic link" if info.issym() else "a hard link"
    if info.isfifo():
        return "a pipe"
    return "a device" if info.isdev() else "of another kind"
