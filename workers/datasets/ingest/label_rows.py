"""Brings the rows of label files together with the pictures of an archive."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from service.core.errors import InvalidData
from service.core.text import counted, first_of
from service.core.text.file_names import is_hidden
from workers.datasets.ingest.folder_words import PART_NAMES, TRAIN, part_of
from workers.datasets.ingest.label_columns import is_of_boxes
from workers.datasets.ingest.label_files import LabelFile, Row
from workers.datasets.ingest.layout import HIDDEN, Layout, arrange
from workers.datasets.ingest.paths import Path, Place, listed, split_path
from workers.datasets.ingest.picture_names import PictureNames

SHOWN = 20  # wrong rows that are named

Match = tuple[LabelFile, Row]


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
    matched, faults = _matched(files, PictureNames.of(names))
    if faults and not (skip_broken and matched):
        raise InvalidData(f"{_wrong(faults)}. skip_broken=true leaves these rows out")
    called = " and ".join(repr(file.name) for file in files)
    if not matched:
        raise InvalidData(f"{called} has no rows")
    unnamed = {
        name: HIDDEN if is_hidden(name) else f"without a row in {called}" for name in names if name not in matched
    }
    layout = _placed(matched, others)
    warnings = [
        *([f"left out: {_wrong(faults)}."] if faults else []),
        *_other_folders(called, layout, others),
        *_unread_columns(files),
    ]
    groups = {name: row.group for name, (_, row) in matched.items() if row.group}
    _refuse_divided_groups(matched, layout)
    return Labelling(replace(layout, places={**layout.places, **unnamed}), groups, warnings)


def names_no_image(file: LabelFile, names: Sequence[str]) -> bool:
    """Whether a label file has rows, and none of them is that of a picture."""
    return bool(file.rows) and not _matched([file], PictureNames.of(names))[0]


def _other_folders(called: str, layout: Layout, others: Sequence[str]) -> Iterator[str]:
    """A warning if folders say other classes than the labels of a label file."""
    labels = {name: place.label for name, place in layout.places.items() if isinstance(place, Place)}
    if layout.has_class_folders:
        return
    try:
        places = arrange(list(labels), others).places
    except InvalidData:  # the folders say no classes
        return
    folders = {name: place.label for name, place in places.items() if isinstance(place, Place)}
    different = [name for name, folder in folders.items() if labels[name] != folder]
    if different and len(set(folders.values())) > 1:
        yield (
            f"the classes are the labels of {called}, not the folders {listed(set(folders.values()))}: "
            f"{counted(len(different), 'image')} would be of another class, such as {different[0]}."
        )


def _unread_columns(files: Sequence[LabelFile]) -> Iterator[str]:
    for file in files:
        if file.unread:
            yield f"columns of {file.name!r} that are not read: {', '.join(file.unread[:SHOWN])}."
        if "label" in file.columns and any(map(is_of_boxes, file.unread)):
            yield (
                f"{file.name!r} has bounding boxes, as sets for object detection have: each label is taken as the "
                "class of its whole image."
            )


def _matched(files: Sequence[LabelFile], pictures: PictureNames) -> tuple[dict[str, Match], list[str]]:
    matched: dict[str, Match] = {}
    faults: list[str] = []
    for file in files:
        wrong = dict(file.faults)
        for row in file.rows:
            try:
                name = pictures.find(file.folder, row.file, row.label or "")
            except InvalidData as error:
                wrong[row.line] = str(error)
                continue
            former, first = matched.setdefault(name, (file, row))
            if replace(first, line=row.line, file=row.file) != row:
                wrong[row.line] = f"{row.file!r} has other values in {former.name!r}, line {first.line}"
        faults += [f"{file.name!r}, line {line}: {text}" for line, text in sorted(wrong.items())]
    return matched, faults


def _wrong(faults: Sequence[str]) -> str:
    are = "is wrong" if len(faults) == 1 else "are wrong"
    return f"{counted(len(faults), 'row')} of the labels {are}: {first_of(faults, SHOWN, '; ')}"


def _placed(matched: Mapping[str, Match], others: Sequence[str]) -> Layout:
    """Labels and parts are those of the rows; without such a column, those that the folders say."""
    has_labels = all(row.label is not None for _, row in matched.values())
    if has_labels:
        parts = {name: _part_of_folders(split_path(name)) for name in matched}
        is_divided = len(set(parts.values())) > 1
        places: dict[str, Place | str] = {
            name: Place(row.label or "", parts[name] if is_divided else TRAIN) for name, (_, row) in matched.items()
        }
        layout = Layout((), places, {}, has_class_folders=False)
    elif any(row.label is not None for _, row in matched.values()):
        raise InvalidData("some label files have the column label, and others have none")
    else:
        layout = arrange(list(matched), others)
    placed = {name: _with_part(place, matched[name][1]) for name, place in layout.places.items()}
    return replace(layout, places=placed)


def _with_part(place: Place | str, row: Row) -> Place | str:
    return place if isinstance(place, str) or row.part is None else Place(place.label, row.part)


def _part_of_folders(path: Path) -> int:
    """The part that the outermost folder of a part says."""
    return next((part for folder in path[:-1] if (part := part_of(folder)) is not None), TRAIN)


def _refuse_divided_groups(matched: Mapping[str, Match], layout: Layout) -> None:
    """Raise InvalidData for a group that lies in two parts of the split."""
    first: dict[str, tuple[str, int]] = {}
    for name, (file, row) in matched.items():
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
