"""Folders that divide a data set: train, val and test, above the classes or directly below each."""

from collections.abc import Collection, Mapping, Sequence

from service.core.errors import InvalidData
from workers.datasets.ingest.folder_words import PART_NAMES, TRAIN, is_container, part_of
from workers.datasets.ingest.paths import (
    BELOW_A_FOLDER,
    EXPECTED,
    Path,
    Place,
    folder_at,
    listed,
    refuse_flat,
    refuse_loose,
    wrapper_of,
)


def above_the_classes(
    paths: Mapping[str, Path], parts: Mapping[str, int], others: Sequence[str]
) -> tuple[dict[str, Place | str], dict[str, Path]]:
    """The places of pictures below folders of `parts`, and for each such folder the folders between it and its classes.

    Pictures in other folders, and those of a part without class folders, are left out. Raises InvalidData.
    """
    inside = {top: {name: path[1:] for name, path in paths.items() if path[0] == top} for top in parts}
    within = [path for pictures in inside.values() for path in pictures.values()]
    shared = wrapper_of(within)
    between = {top: (*shared, *_repeated(top, parts[top], shared, inside[top].values())) for top in parts}
    below = {
        top: {name: path[len(between[top]) :] for name, path in pictures.items()} for top, pictures in inside.items()
    }
    flat = {top for top, pictures in below.items() if all(len(path) == 1 for path in pictures.values())}
    beside = {name: path for name, path in paths.items() if path[0] not in parts}
    _refuse_unclear(parts, flat, beside, below, others)
    places: dict[str, Place | str] = {
        name: f"beside the folders {listed(parts)}, which have the classes" for name in beside
    }
    for top, pictures in below.items():
        if top in flat:
            places |= dict.fromkeys(pictures, f"in the folder {top!r}, which has no class folders")
        else:
            refuse_loose(pictures)
            places |= {name: _place(name, path, parts[top]) for name, path in pictures.items()}
    return places, between


def _repeated(top: str, part: int, shared: Path, paths: Collection[Path]) -> Path:
    """The folders below a part that only repeat it or hold it: `training_set/training_set`, `train/images`."""
    repeated: Path = ()
    while True:
        folders = {folder_at(path, len(shared) + len(repeated)) for path in paths}
        folder = folders.pop()
        if folders or folder is None:
            return repeated
        if not (folder == top or part_of(folder) == part or is_container(folder)):
            return repeated
        repeated = (*repeated, folder)


def _refuse_unclear(
    parts: Mapping[str, int],
    flat: set[str],
    beside: Mapping[str, Path],
    below: Mapping[str, Mapping[str, Path]],
    others: Sequence[str],
) -> None:
    labelled = {parts[top] for top in parts if top not in flat}
    folders = {path[0] for path in beside.values() if len(path) > 1}
    if not labelled and not folders:
        refuse_flat({name: path for pictures in below.values() for name, path in pictures.items()}, others)
    if not labelled:
        raise InvalidData(
            f"{listed(parts)} beside {listed(folders)}: is it a part of a split, or a class? Put the class folders "
            "into train and val, or rename the class, or send a label file"
        )
    refuse_loose({name: path for name, path in beside.items() if len(path) == 1})
    if TRAIN not in labelled:
        train = {name for name, part in parts.items() if part == TRAIN}
        lacking = f"{listed(train)} has no class folders" if train else "there is no folder train"
        raise InvalidData(f"{lacking}, but there is {listed(parts.keys() - train)}; {EXPECTED}")


def _place(name: str, path: Path, part: int) -> Place:
    for folder in path[:-1]:
        if part_of(folder) not in (None, part) or part_of(path[0]) is not None:
            raise InvalidData(
                f"{name!r} lies in two parts of a split, {PART_NAMES[part]} and {folder!r}; allowed: one such folder "
                "above an image"
            )
    return Place(path[0], part)


def below_the_classes(paths: Mapping[str, Path]) -> dict[str, Place | str]:
    """The places of pictures whose class folders have a folder for each part, as `cat/train`. Raises InvalidData."""
    places: dict[str, Place | str] = {}
    deeper: set[str] = set()
    for name, path in paths.items():
        part = part_of(path[1]) if len(path) > BELOW_A_FOLDER else None
        if part is None:
            raise InvalidData(
                f"{name!r} lies in no folder of a part, and other images of classes do; allowed: all images in folders "
                "such as cat/train and cat/val, or none"
            )
        deeper |= {folder for folder in path[2:-1] if part_of(folder) != part and not is_container(folder)}
        _place(name, (path[0], *path[2:]), part)
        places[name] = Place(path[0], part)
    if len(deeper) > 1:
        raise InvalidData(
            f"folders of a split lie between folders, as in {next(iter(paths))!r}: are the classes above or below? "
            f"Allowed: {listed(deeper)} directly below train and val, or the classes above them with no folders below"
        )
    if not any(isinstance(place, Place) and place.part == TRAIN for place in places.values()):
        raise InvalidData(f"the class folders have parts of a split, but no folder train; {EXPECTED}")
    return places
