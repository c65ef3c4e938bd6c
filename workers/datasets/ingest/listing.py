"""The files of an archive by kind: pictures, label files, others."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from service.core.errors import InvalidData
from service.core.text import counted, first_of
from service.core.text.file_names import is_hidden, is_image_name
from workers.datasets.ingest.folder_words import is_container, part_of
from workers.datasets.ingest.label_files import LabelFile, is_label_file, parse, part_of_table
from workers.datasets.ingest.members import MOST_FILE_BYTES, Archive
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
            elif part_of_table(member.name) is not None and member.size <= min(
                MOST_FILE_BYTES, MOST_TABLE_BYTES - size
            ):
                size += member.size
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
        by_folder: dict[Path, list[LabelFile]] = defaultdict(list)
        reasons: list[str] = []
        root = _common([split_path(name)[:-1] for name in self.pictures if not is_hidden(name)])
        for name, data in self.tables.items():
            folder = split_path(name)[:-1]
            inner = folder[len(root) :]
            is_above = root[: len(folder)] == folder[: len(root)]
            if not is_above or not all(part_of(part) is not None or is_container(part) for part in inner):
                reasons.append(f"{name!r} lies beside the images")
                continue
            try:
                by_folder[folder].append(parse(name, data))
            except InvalidData as error:
                reasons.append(str(error))
        files: list[LabelFile] = []
        for candidates in by_folder.values():
            used, unused = _of_one_folder(candidates)
            files += used
            reasons += unused
        return files, reasons

    def warnings(self) -> Iterator[str]:
        """A warning about the files that are no pictures."""
        if self.others:
            shown = first_of(self.others, SHOWN)
            yield f"ignored, because they are not images: {counted(len(self.others), 'file')}, {shown}."


def _of_one_folder(files: Sequence[LabelFile]) -> tuple[list[LabelFile], list[str]]:
    """The label files of a folder to use, and the reasons for the others: one for all images, or one for each part, as
    `train.csv` and `val.csv`. Raises InvalidData.
    """
    general = [file for file in files if is_label_file(file.name)]
    used = general or [file for file in files if "label" in file.columns] or list(files)
    parts = {file.name: part_of_table(file.name) for file in used}
    if len(used) > 1 and (general or len(set(parts.values())) < len(used)):
        raise InvalidData(
            f"{used[0].name!r} and {used[1].name!r} are both label files; allowed: one in a folder, or one for each "
            "part, called train.csv, val.csv and test.csv"
        )
    names = " and ".join(repr(file.name) for file in used)
    unused = [f"{file.name!r} lies beside the label file {names}" for file in files if file not in used]
    if len(used) > 1:
        used = [file.of_part(part) for file in used if (part := parts[file.name]) is not None]
    return used, unused


def _common(folders: Sequence[Path]) -> Path:
    """The folders that all paths begin with."""
    low, high = min(folders, default=()), max(folders, default=())
    same = [one == other for one, other in zip(low, high, strict=False)]
    return low[: same.index(False) if False in same else len(same)]


def _is_image(head: bytes) -> bool:
    """Whether a file begins as an image of a format that can be read does."""
    is_bitmap = head.startswith(b"BM") and head[6:10] == bytes(4)
    is_webp = head.startswith(b"RIFF") and head[8:12] == b"WEBP"
    is_netpbm = head.startswith(NETPBM) and head[3:4] in (b"#", *(b"%d" % digit for digit in range(10)))
    return head.startswith(STARTS) or is_bitmap or is_webp or is_netpbm
