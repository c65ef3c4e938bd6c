"""Brings the rows of label files together with the pictures of an archive."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from service.core.errors import InvalidData
from service.core.text import counted
from workers.datasets.ingest.folder_words import PART_NAMES, TRAIN, part_of
from workers.datasets.ingest.label_files import LabelFile, Row
from workers.datasets.ingest.layout import Layout, arrange
from workers.datasets.ingest.paths import Path, Place, split_path

SHOWN = 20  # wrong rows that are named

Found = tuple[LabelFile, Row]


@dataclass
class _Pictures:
    """The names of pictures by their path, and the paths by the name of the file, with its ending and without."""

    by_path: dict[str, str] = field(default_factory=dict)
    by_file: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    by_stem: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    @classmethod
    def of(cls, names: Sequence[str]) -> "_Pictures":
        pictures = cls()
        for name in names:
            path = "/".join(split_path(name))
            pictures.by_path[path] = name
            pictures.by_file[PurePosixPath(path).name].append(path)
            pictures.by_stem[PurePosixPath(path).stem].append(path)
        return pictures

    def find(self, folder: str, file: str) -> str:
        """The name of the only picture that a row can mean: by the path from the label file's folder; by the end of
        that path, as of an address; by the end of a picture's path, with its ending or without. Raises InvalidData.
        """
        above = f"{folder}/" if folder else ""
        parts = [part for part in file.replace("\\", "/").split("/") if part not in ("", ".")]
        for first in range(len(parts)):
            if (path := above + "/".join(parts[first:])) in self.by_path:
                return self.by_path[path]
        end = "/" + "/".join(parts)
        last = parts[-1] if parts else ""
        found = [path for path in self.by_file.get(last, ()) if f"/{path}".endswith(end)]
        found = found or [path for path in self.by_stem.get(last, ()) if f"/{_without_ending(path)}".endswith(end)]
        found = [path for path in found if path.startswith(above)]
        if not found:
            raise InvalidData(f"there is no image {file!r}")
        if len(found) > 1:
            raise InvalidData(f"{file!r} may be {found[0]!r} or {found[1]!r}; give more of the path")
        return self.by_path[found[0]]


def _without_ending(path: str) -> str:
    return str(PurePosixPath(path).with_suffix(""))


@dataclass(frozen=True)
class Labelling:
    """What label files say of the pictures. `groups`: by name of a picture its group, where it has one."""

    layout: Layout
    groups: Mapping[str, str]
    warnings: Sequence[str] = ()


def label_by_rows(
    files: Sequence[LabelFile], names: Sequence[str], others: Sequence[str], *, skip_broken: bool
) -> Labelling:
    """Place pictures by label files. Pictures without a row are left out. Raises InvalidData that names the wrong rows,
    unless `skip_broken`: then these rows are left out and named in a warning.
    """
    found, faults = _matched(files, _Pictures.of(names))
    if faults and not (skip_broken and found):
        raise InvalidData(f"{_wrong(faults)}. skip_broken=true leaves these rows out")
    called = " and ".join(repr(file.name) for file in files)
    if not found:
        raise InvalidData(f"{called} has no rows")
    warnings = [f"left out: {_wrong(faults)}."] if faults else []
    unnamed = {name: f"without a row in {called}" for name in names if name not in found}
    layout = _placed(found, others)
    groups = {name: f"{row.group}" for name, (_, row) in found.items() if row.group}
    _refuse_torn(found, layout)
    return Labelling(replace(layout, places={**layout.places, **unnamed}), groups, warnings)


def _matched(files: Sequence[LabelFile], pictures: _Pictures) -> tuple[dict[str, Found], list[str]]:
    found: dict[str, Found] = {}
    faults: list[str] = []
    for file in files:
        wrong = dict(file.faults)
        for row in file.rows:
            try:
                name = pictures.find(file.folder, row.file)
            except InvalidData as error:
                wrong[row.line] = str(error)
                continue
            former, first = found.setdefault(name, (file, row))
            if replace(first, line=row.line, file=row.file) != row:
                wrong[row.line] = f"{row.file!r} has other values in {former.name!r}, line {first.line}"
        faults += [f"{file.name!r}, line {line}: {text}" for line, text in sorted(wrong.items())]
    return found, faults


def _wrong(faults: Sequence[str]) -> str:
    more = f"; and {counted(len(faults) - SHOWN, 'more row')}" if len(faults) > SHOWN else ""
    are = "is wrong" if len(faults) == 1 else "are wrong"
    return f"{counted(len(faults), 'row')} of the labels {are}: {'; '.join(faults[:SHOWN])}{more}"


def _placed(found: Mapping[str, Found], others: Sequence[str]) -> Layout:
    """Labels and parts are those of the rows; without such a column, those that the folders say."""
    has_labels = all(row.label is not None for _, row in found.values())
    if has_labels:
        places: dict[str, Place | str] = {
            name: Place(row.label or "", _part_of_folders(split_path(name))) for name, (_, row) in found.items()
        }
        layout = Layout((), places, {}, has_class_folders=False)
    elif any(row.label is not None for _, row in found.values()):
        raise InvalidData("some label files have the column label, and others have none")
    else:
        layout = arrange(list(found), others)
    placed = {name: _with_part(place, found[name][1]) for name, place in layout.places.items()}
    return replace(layout, places=placed)


def _with_part(place: Place | str, row: Row) -> Place | str:
    return place if isinstance(place, str) or row.part is None else Place(place.label, row.part)


def _part_of_folders(path: Path) -> int:
    """The part that the outermost folder of a part says."""
    return next((part for folder in path[:-1] if (part := part_of(folder)) is not None), TRAIN)


def _refuse_torn(found: Mapping[str, Found], layout: Layout) -> None:
    """Raise InvalidData for a group that lies in two parts of the split."""
    first: dict[str, tuple[str, int]] = {}
    for name, (file, row) in found.items():
        place = layout.places[name]
        if not row.group or isinstance(place, str):
            continue
        other, part = first.setdefault(row.group, (name, place.part))
        if part != place.part:
            raise InvalidData(
                f"{file.name!r}, line {row.line}: the group {row.group!r} lies in two parts of the split: {other!r} in "
                f"{PART_NAMES[part]}, {name!r} in {PART_NAMES[place.part]}"
            )


def left_out(places: Mapping[str, Place | str]) -> Iterator[str]:
    """A warning for each reason why pictures are left out."""
    by_reason: dict[str, list[str]] = defaultdict(list)
    for name, place in places.items():
        if isinstance(place, str):
            by_reason[place].append(name)
    for reason, names in by_reason.items():
        yield f"left out: {counted(len(names), 'image')} {reason}, such as {names[0]}."
