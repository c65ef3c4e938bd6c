"""The names of files in an archive: decoded from bytes, and checked."""

import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from service.core.errors import InvalidData
from service.core.text import control_character, counted

LONGEST_NAME, DEEPEST = 1024, 32  # characters, folders
UTF8_FLAG = 0x800
UNICODE_PATH = 0x7075  # Info-ZIP's extra field with the name in UTF-8
ON_A_DRIVE = re.compile(r"[A-Za-z]:[\\/]")
SHOWN = 100  # characters of a name in an error


@dataclass
class Decoder:
    """Decodes the names of one archive. Without a mark of UTF-8, a name is UTF-8 where its bytes are, else of the
    legacy code page.
    """

    legacy: list[str] = field(default_factory=list)  # the names that were read by the code page
    code_page: str = "cp437"

    def of_zip(self, info: zipfile.ZipInfo) -> str:
        """The name of a zip entry. zipfile decodes unmarked names as code page 437, which loses nothing."""
        if info.flag_bits & UTF8_FLAG:
            return info.orig_filename
        raw = info.orig_filename.encode("cp437")
        return _unicode_path(info.extra, raw) or self._decode(raw)

    def of_tar(self, name: str) -> str:
        """The name of a tar entry. tarfile turns bytes that are not UTF-8 into lone surrogates."""
        self.code_page = "latin-1"
        return name if name.isprintable() else self._decode(name.encode("utf-8", "surrogateescape"))

    def _decode(self, raw: bytes) -> str:
        try:
            return raw.decode()
        except UnicodeDecodeError:
            self.legacy.append(raw.decode(self.code_page))
            return self.legacy[-1]

    def warnings(self) -> Iterator[str]:
        """A warning about names whose encoding is a guess."""
        if self.legacy:
            words = {"cp437": "code page 437", "latin-1": "ISO 8859-1"}[self.code_page]
            yield (
                f"{counted(len(self.legacy), 'name')} in the archive are not UTF-8 and are read as {words}, such as "
                f"{self.legacy[0]!r}. If that is wrong, pack the files with UTF-8 names."
            )


def _unicode_path(extra: bytes, raw: bytes) -> str | None:
    """The name in the extra field 0x7075 of APPNOTE.TXT 4.6.9, if its sum is that of the raw name."""
    while len(extra) >= 4:  # noqa: PLR2004 - the header of a field
        kind, size = struct.unpack_from("<HH", extra)
        body, extra = extra[4 : 4 + size], extra[4 + size :]
        if kind == UNICODE_PATH and body[:5] == struct.pack("<BL", 1, zlib.crc32(raw)):
            return body[5:].decode(errors="replace")
    return None


def refuse_leading_out(name: str) -> None:
    """Raise InvalidData for a name that leads out of the archive's root, or is too long or too deep."""
    shown = ascii(name[:SHOWN])
    parts = name.replace("\\", "/").split("/")
    if name.startswith(("/", "\\")) or ON_A_DRIVE.match(name):
        raise InvalidData(f"{shown} is an absolute path")
    if ".." in parts:
        raise InvalidData(f"{shown} leads out of the archive")
    if len(name) > LONGEST_NAME or len(parts) > DEEPEST:
        raise InvalidData(
            f"{shown} is too long or too deep a path; at most {LONGEST_NAME} characters and {DEEPEST} folders"
        )


def refuse_unreadable(name: str) -> None:
    """Raise InvalidData for a name with control characters, and for no name."""
    if not name:
        raise InvalidData("a file in the archive has no name")
    if character := control_character(name):
        raise InvalidData(
            f"{name[:SHOWN]!a} is not a readable name: it has the control character {character}; allowed: all "
            "other characters"
        )


def cleaned(name: str) -> str:
    """The name with forward slashes, without empty parts and dots."""
    return "/".join(part for part in name.replace("\\", "/").split("/") if part not in ("", "."))
