"""From the names in an archive to classes: `class/picture`, below folders that wrap everything, and above or below the
folders train, val and test where the set comes divided.

What is certain is understood; images that belong to no class are left out with a reason; the rest is refused.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from service.core.errors import InvalidData
from service.core.text.file_names import is_hidden
from workers.datasets.ingest.detection import beside_classes, has_one_for_each, of_detection, of_voc
from workers.datasets.ingest.folder_words import (
    TRAIN,
    has_word_of_a_part,
    is_container,
    is_of_results,
    is_often_no_class,
    may_be_no_class,
    part_of,
    parts_among,
)
from workers.datasets.ingest.paths import (
    BELOW_A_FOLDER,
    EXPECTED,
    Path,
    Place,
    folder_at,
    listed,
    refuse_flat,
    refuse_loose,
    split_path,
    wrapper_of,
)
from workers.datasets.ingest.split_folders import above_the_classes, below_the_classes

HIDDEN = "in hidden files or folders, or in folders that systems and tools make"
NO_CLASSES = "in folders of results or of images without labels, which are not classes"


@dataclass(frozen=True)
class Layout:
    """The meaning of the folders. `places`: by name of a picture its place, or the reason why it is left out.

    `root`: the folders above the classes or the parts. `parts`: by folder of a part, the folders between it and its
    classes. `has_class_folders`: the classes are folders, not labels of a label file.
    """

    root: Path
    places: Mapping[str, Place | str]
    parts: Mapping[str, Path]
    warnings: Sequence[str] = ()
    has_class_folders: bool = True

    def class_of(self, folder: str) -> str | None:
        """The class of a folder without pictures; None if it is no class folder."""
        path, root = split_path(folder), self.root
        if path[: len(root)] == root and (top := path[len(root) : len(root) + 1]) and top[0] in self.parts:
            root = (*root, *top, *self.parts[top[0]])
        inner = path[len(root) :] if path[: len(root)] == root else ()
        if (
            not inner
            or not self.has_class_folders
            or is_hidden(folder)
            or is_of_results(inner[0])
            or part_of(inner[0]) is not None
        ):
            return None
        return inner[0]


def arrange(names: Sequence[str], others: Sequence[str] = ()) -> Layout:
    """Find out from the names of pictures what the folders mean. `others` are the other files, which help to say in a
    refusal what the archive is. Raises InvalidData.
    """
    paths = {name: split_path(name) for name in names if not is_hidden(name)}
    places: dict[str, Place | str] = {name: HIDDEN for name in names if name not in paths}
    depth = len(wrapper_of(paths.values()))
    for name in [name for name, path in paths.items() if any(map(is_of_results, path[depth:-1]))]:
        places[name] = NO_CLASSES
        del paths[name]
    root, beside = _root(paths)
    places |= beside
    inner = {name: path[len(root) :] for name, path in paths.items() if name not in beside}
    if not inner:
        raise InvalidData(f"there are no images in folders of classes, but {len(places):,} elsewhere")
    refuse_flat(inner, others)
    placed, parts, warnings = _placed(inner, others)
    places |= placed
    classes = {name: place.label for name, place in places.items() if isinstance(place, Place)}
    annotations = beside_classes(others, classes.values())
    if has_one_for_each(annotations, classes):
        raise InvalidData(f"the folders do not give the classes: {of_detection(annotations)}; {EXPECTED}")
    return Layout(root, places, parts, [*warnings, *_doubts(set(classes.values()), annotations)])


def _doubts(labels: Collection[str], annotations: Sequence[str]) -> Iterator[str]:
    """Warnings about classes that may be none."""
    if doubtful := list(filter(is_often_no_class, labels)):
        yield f"read as classes, although such folders often are not classes: {listed(doubtful)}."
    if of_parts := list(filter(has_word_of_a_part, labels)):
        yield (
            f"read as classes, although their names are like those of parts of a split: {listed(of_parts)}. If they "
            "are parts, call them train, val and test."
        )
    if remark := of_detection(annotations):
        yield f"the folders are read as the classes, although {remark}."


def _placed(
    paths: Mapping[str, Path], others: Sequence[str]
) -> tuple[dict[str, Place | str], dict[str, Path], list[str]]:
    """The places of pictures below the root; the folders of parts, as in a Layout; and warnings."""
    tops = {path[0] for path in paths.values() if len(path) > 1}
    if parts := parts_among(tops):
        return *above_the_classes(paths, parts, others), []
    refuse_loose(paths)
    if any(part_of(path[1]) is not None for path in paths.values() if len(path) > BELOW_A_FOLDER):
        return below_the_classes(paths), {}, []
    _refuse_no_classes(paths, tops, others)
    if sign := of_voc(folder for path in paths.values() for folder in path[1:-1]):
        raise InvalidData(f"the folders do not give the classes: {sign}; {EXPECTED}")
    below = _folders_below(paths)
    wrappers = {top for top in tops if len(below[top]) > 1 and below[top] <= tops - {top}}
    return _in_classes(paths, wrappers), {}, list(_same_below(below))


def _folders_below(paths: Mapping[str, Path]) -> dict[str, set[str]]:
    """By folder, the names of the folders in it that have pictures."""
    below: dict[str, set[str]] = defaultdict(set)
    for path in paths.values():
        below[path[0]] |= {path[1]} if len(path) > BELOW_A_FOLDER else set()
    return below


def _in_classes(paths: Mapping[str, Path], wrappers: Collection[str]) -> dict[str, Place | str]:
    """The places of pictures in class folders; those in `wrappers` are left out."""
    reasons = {folder: f"in {folder!r}, whose subfolders have the names of the classes" for folder in wrappers}
    return {name: reasons.get(path[0]) or Place(path[0], TRAIN) for name, path in paths.items()}


def _root(paths: Mapping[str, Path]) -> tuple[Path, dict[str, str]]:
    """The folders above the classes or parts, and the images beside these folders, with the reason why they are left
    out: masks beside the only folder that has subfolders.
    """
    root: Path = ()
    beside: dict[str, str] = {}
    while True:
        seen = {name: path for name, path in paths.items() if name not in beside}
        tops = {folder_at(path, len(root)) for path in seen.values()}
        main = {top for top in tops if not (top and may_be_no_class(top) and not is_container(top))} or tops
        if len(main) != 1 or None in main:
            return root, beside
        (top,) = main
        inside = {name for name, path in seen.items() if folder_at(path, len(root)) == top}
        if top is None or not any(len(paths[name]) > len(root) + BELOW_A_FOLDER for name in inside):
            return root, beside
        outside = {name: path for name, path in seen.items() if name not in inside}
        if not is_container(top) and part_of(top) is None:
            _refuse_two_readings(top, {path[len(root) :] for path in outside.values()})
        beside |= {name: _beside(top, path[len(root) :]) for name, path in outside.items()}
        root = (*root, top)


def _beside(top: str, path: Path) -> str:
    return f"in the folder {path[0]!r}, beside the folder {top!r}, which has the classes"


def _refuse_two_readings(top: str, outside: Collection[Path]) -> None:
    """Raise InvalidData if a folder beside `top` has folders as well: then each of the two may be a class."""
    if divided := {path[0] for path in outside if len(path) > BELOW_A_FOLDER}:
        raise InvalidData(
            f"the folders {listed({top, *divided})} all have folders: are they the classes, or the folders in {top!r}? "
            f"Allowed: the class folders alone, without {listed(divided)} beside {top!r}, or without folders in them"
        )


def _refuse_no_classes(paths: Mapping[str, Path], tops: set[str], others: Sequence[str]) -> None:
    if all(map(may_be_no_class, tops)) and any(map(is_container, tops)):
        refuse_flat({name: path[1:] for name, path in paths.items()}, others)
        raise InvalidData(f"the folders {listed(tops)} are not classes")
    for name, path in paths.items():
        if odd := [folder for folder in path[2:-1] if part_of(folder) is not None]:
            raise InvalidData(
                f"{name!r} lies below {odd[0]!r}, which is the name of a part of a split; allowed: such folders above "
                "all classes, or directly below each class"
            )


def _same_below(inside: Mapping[str, set[str]]) -> Iterator[str]:
    """A warning if the folders below the classes may be the classes. `inside`: by class folder, the folders in it."""
    same = next(iter(inside.values()))
    if len(same) > 1 and len(inside) > 1 and all(folders == same for folders in inside.values()):
        yield (
            f"each of the class folders {listed(inside)} has the same folders, {listed(same)}: if these are the "
            "classes, put them above the others."
        )
