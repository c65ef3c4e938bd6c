"""The files of an archive by kind: pictures, label files, others."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from service.core.errors import InvalidData
from service.core.file_names import is_image_name
from service.core.text import counted
from workers.datasets.ingest.folder_words import is_container, part_of
from workers.datasets.ingest.label_files import LabelFile, is_label_file, parse
from workers.datasets.ingest.members import Archive
from workers.datasets.ingest.paths import Path, split_path

SHOWN = 20  # files in a warning
HEAD_BYTES = 16
MOST_TABLE_BYTES = 128 << 20  # of all label files of an archive
STARTS = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
NETPBM = tuple(f"P{kind}{space}".encode() for kind in range(1, 7) for space in " \t\r\n")


@dataclass
class Listing:
    """The names of an archive's files and folders, and the contents of its label files."""

    pictures: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    tables: dict[str, bytes] = field(default_factory=dict)

    @classmethod
    def of(cls, archive: Archive) -> "Listing":
        """List an archive. A picture has the ending of an image, or begins as one. Raises InvalidData."""
        listing, size = cls(), 0
        for member in archive.members():
            if member.is_folder:
                listing.folders.append(member.name)
            elif is_image_name(member.name):
                listing.pictures.append(member.name)
            elif is_label_file(member.name):
                size += member.size
                if size > MOST_TABLE_BYTES:
                    raise InvalidData(f"the label files have over {MOST_TABLE_BYTES:,} bytes, such as {member.name!r}")
                listing.tables[member.name] = member.read()
            elif _is_image(member.read(HEAD_BYTES)):
                listing.pictures.append(member.name)
            else:
                listing.others.append(member.name)
        return listing

    def label_files(self) -> tuple[list[LabelFile], list[str]]:
        """The label files that lie above all pictures, or in the folder of a part; and for each file of such a name
        that cannot be used, the reason. Raises InvalidData for two in one folder.
        """
        files: dict[Path, LabelFile] = {}
        reasons: list[str] = []
        root = _common([split_path(name)[:-1] for name in self.pictures])
        for name, data in self.tables.items():
            folder = split_path(name)[:-1]
            inner = folder[len(root) :]
            is_above = root[: len(folder)] == folder[: len(root)]
            if not is_above or not all(part_of(part) is not None or is_container(part) for part in inner):
                reasons.append(f"{name!r} lies beside the images")
                continue
            try:
                file = parse(name, data)
            except InvalidData as error:
                reasons.append(str(error))
                continue
            if folder in files:
                raise InvalidData(f"{files[folder].name!r} and {name!r} are both label files; allowed: one in a folder")
            files[folder] = file
        return list(files.values()), reasons

    def warnings(self) -> Iterator[str]:
        """A warning about the files that are no pictures."""
        if self.others:
            more = f" and {len(self.others) - SHOWN:,} more" if len(self.others) > SHOWN else ""
            shown = ", ".join(self.others[:SHOWN])
            yield f"passed over, since they are no images: {counted(len(self.others), 'file')}, {shown}{more}."


def _common(folders: Sequence[Path]) -> Path:
    """The folders that all paths begin with."""
    low, high = min(folders), max(folders)
    same = [one == other for one, other in zip(low, high, strict=False)]
    return low[: same.index(False) if False in same else len(same)]


def _is_image(head: bytes) -> bool:
    """Whether a file begins as an image of a format that can be read does."""
    is_bitmap = head.startswith(b"BM") and head[6:10] == bytes(4)
    is_webp = head.startswith(b"RIFF") and head[8:12] == b"WEBP"
    is_netpbm = head.startswith(NETPBM) and head[3:4] in (b"#", *(b"%d" % digit for digit in range(10)))
    return head.startswith(STARTS) or is_bitmap or is_webp or is_netpbm
