"""`python -m workers.datasets.ingest.read FORMAT FILE FOLDER MOST_BYTES SECONDS`: an upload becomes a pack.

A process of its own, since uploads are not trusted: it has limits on memory, time, files and their size, and a crash
ends this process only. Prints one line of JSON, {"contents": …} or {"error": …}, and exits 0 for both.
"""

import errno
import hashlib
import json
import os
import resource
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from service.core.errors import InvalidData
from service.core.images import decode
from service.core.records.dataset import CONTENTS, PIXELS, Contents, Size
from service.core.system import DISK_FULL, die_with_parent
from service.core.text import counted
from workers.datasets.ingest import arrays, copies, preflight
from workers.datasets.ingest.layout import PART_NAMES, Layout, Place, arrange, is_passed_over
from workers.datasets.ingest.members import BLOCK, members
from workers.datasets.ingest.pack import Pack, Pixels, pixels_of
from workers.datasets.ingest.prints import Prints

BROKEN_DISK = DISK_FULL | {errno.EIO}  # not EFBIG: that is the limit on what the body may decode to
MOST_MEMORY = 4 << 30  # bytes of addresses
MOST_OPEN = 64  # files
GRACE = 5  # seconds of computing
NICE = 10  # training goes first
MOST_FAULTS = 100  # files that are no images, before the set is given up
MOST_CLASSES = 10_000
MOST_SIZES = 20  # that are listed
SMALLEST, USUAL = 8, 224  # the sides to which images of different sizes are brought


@dataclass(frozen=True)
class Labelled:
    """Where each image belongs. `is_divided`: the set says itself what is validated and tested on."""

    names: Sequence[str]
    places: Sequence[Place]
    classes: Sequence[str]
    is_divided: bool = False
    warnings: Sequence[str] = ()


def read(kind: str, source: Path, folder: Path, most_bytes: int) -> Contents:
    """Write the pack of a data set into the folder. Raises InvalidData that says what is wrong, and with which file."""
    prints, modes = Prints(), Counter[str]()
    with Pack(folder, most_bytes) as pack:
        if kind == "npz":
            labelled = _arrays(source, pack, prints, modes)
        else:
            labelled = _pictures(kind, source, most_bytes, pack, prints, modes)
        shapes = pack.shapes
        pack.level()
    index = {label: i for i, label in enumerate(labelled.classes)}
    labels = np.asarray([index[place.label] for place in labelled.places], np.int64)
    parts = np.asarray([place.part for place in labelled.places], np.int64)
    found = copies.find(prints, labels)
    given_parts = parts if labelled.is_divided else None
    pack.index(labels=labels, parts=parts.astype(np.int8), copies=found.groups)
    checked = preflight.Checked(labelled.names, labelled.classes, labels, given_parts, found, prints.constant)
    is_uniform = len({shape[1:] for shape in shapes}) == 1
    contents = Contents(
        classes=tuple(labelled.classes),
        samples_per_class=tuple(np.bincount(labels, minlength=len(index)).tolist()),
        shape=_shape(pack, is_uniform=is_uniform),
        is_uniform=is_uniform,
        sizes=_sizes(pack),
        modes=dict(modes),
        parts=_parts(parts) if labelled.is_divided else None,
        copies=found.sizes(),
        warnings=(*labelled.warnings, *preflight.warnings(checked), *_of_sizes(pack, is_uniform=is_uniform)),
        digest=_digest(folder / PIXELS, labels),
    )
    (folder / CONTENTS).write_text(json.dumps(asdict(contents)))
    return contents


def _arrays(source: Path, pack: Pack, prints: Prints, modes: Counter[str]) -> Labelled:
    labels = arrays.labels_of(source)
    known = np.unique(labels).tolist()
    _refuse_few([str(label) for label in known])
    for pixels in arrays.images_of(source, len(labels)):
        _keep(pixels, pack, prints)
        modes["L" if pixels.shape[2] == 1 else "RGB"] += 1
    missing = sorted(set(range(known[-1])) - set(known)) if known[0] >= 0 and known[-1] < MOST_CLASSES else []
    warnings = [f"no image has the label {', '.join(map(str, missing[:10]))}."] if missing else []
    places = [Place(str(label), 0) for label in labels.tolist()]
    names = [f"x[{i}]" for i in range(len(labels))]
    return Labelled(names, places, [str(label) for label in known], warnings=warnings)


def _pictures(kind: str, source: Path, most_bytes: int, pack: Pack, prints: Prints, modes: Counter[str]) -> Labelled:
    names: list[str] = []
    folders: list[str] = []
    faults: dict[str, InvalidData] = {}
    for member in members(source, kind, most_bytes):
        if is_passed_over(member.name):
            continue
        if member.is_folder:
            folders.append(member.name)
            continue
        try:
            picture, mode = decode(member.read())
        except InvalidData as error:
            faults[member.name] = error
            if len(faults) > MOST_FAULTS:
                name, first = next(iter(faults.items()))
                raise InvalidData(f"{name!r}: {first}; and so are {MOST_FAULTS} more files") from error
            continue
        _keep(pixels_of(picture), pack, prints)
        modes[mode] += 1
        names.append(member.name)
    layout = arrange(names, [*faults, *(f"{folder}/picture" for folder in folders)])
    warnings = _stray(list(faults), layout.places[len(names) : len(names) + len(faults)], faults)
    if not names:
        raise InvalidData("there are no images in the archive; allowed: folders of pictures, one for each class")
    for name, place in zip(names, layout.places, strict=False):
        if place is None:
            raise InvalidData(f"{name!r} lies in no folder of a class")
    places = [place for place in layout.places[: len(names)] if place]
    classes = sorted({place.label for place in places})
    _refuse_few(classes)
    _refuse_untrained(classes, places, layout)
    of_folders = layout.places[len(names) + len(faults) :]
    if empty := sorted({place.label for place in of_folders if place} - set(classes)):
        warnings.append(f"{len(empty)} class folders have no images, such as {empty[0]}: they are no classes.")
    return Labelled(names, places, classes, layout.is_divided, warnings)


def _keep(pixels: Pixels, pack: Pack, prints: Prints) -> None:
    pack.add(pixels)
    prints.add(pixels)


def _stray(names: list[str], places: Sequence[Place | None], faults: dict[str, InvalidData]) -> list[str]:
    """A file that is no picture may lie above the classes. Raises InvalidData for one that lies among the pictures."""
    above = []
    for name, place in zip(names, places, strict=True):
        if place is not None:
            raise InvalidData(f"{name!r}: {faults[name]}")
        above.append(name)
    return (
        [f"passed over beside the class folders: {counted(len(above), 'file')}, such as {above[0]}."] if above else []
    )


def _refuse_few(classes: Sequence[str]) -> None:
    if len(classes) < 2:  # noqa: PLR2004 - nothing to tell apart
        raise InvalidData(f"there is one class only, {classes[0]!r}; a classifier needs two or more")
    if len(classes) > MOST_CLASSES:
        raise InvalidData(f"there are {len(classes):,} classes; at most {MOST_CLASSES:,}")


def _refuse_untrained(classes: Sequence[str], places: Sequence[Place], layout: Layout) -> None:
    if not layout.is_divided:
        return
    trained = {place.label for place in places if place.part == 0}
    if missing := [label for label in classes if label not in trained]:
        raise InvalidData(f"class {missing[0]!r} has images to validate or test on, and none in the train folder")


def _shape(pack: Pack, *, is_uniform: bool) -> tuple[int, int, int]:
    if is_uniform:
        return pack.channels[0], pack.heights[0], pack.widths[0]
    side = int(np.median(np.minimum(pack.heights, pack.widths)))
    side = min(USUAL, max(SMALLEST, side))
    return pack.channels[0], side, side


def _sizes(pack: Pack) -> tuple[Size, ...]:
    counted = Counter(zip(pack.widths, pack.heights, strict=True)).most_common(MOST_SIZES)
    return tuple(Size(width, height, images) for (width, height), images in counted)


def _of_sizes(pack: Pack, *, is_uniform: bool) -> Iterator[str]:
    if not is_uniform:
        side = _shape(pack, is_uniform=False)[1]
        different = len(set(zip(pack.widths, pack.heights, strict=True)))
        yield (
            f"the images have {different} different sizes: jobs bring them all to {side}x{side} pixels, or to "
            "dataset.image_size where the spec has one."
        )


def _parts(parts: np.ndarray[Any, np.dtype[np.int64]]) -> dict[str, int]:
    counts = np.bincount(parts, minlength=len(PART_NAMES)).tolist()
    return {name: count for name, count in zip(PART_NAMES, counts, strict=True) if count}


def _digest(pixels: Path, labels: np.ndarray[Any, np.dtype[np.int64]]) -> str:
    sha = hashlib.sha256()
    with pixels.open("rb") as file:
        while block := file.read(BLOCK):
            sha.update(block)
    sha.update(labels.tobytes())
    return sha.hexdigest()


def main(kind: str, source: str, folder: str, most_bytes: str, seconds: str) -> None:
    die_with_parent()
    _limit(int(most_bytes), int(seconds))
    try:
        answer: dict[str, Any] = {"contents": asdict(read(kind, Path(source), Path(folder), int(most_bytes)))}
    except InvalidData as error:
        answer = {"error": str(error)}
    except MemoryError:
        answer = {"error": f"reading it needs more than {MOST_MEMORY >> 30} GiB of memory"}
    except OSError as error:
        if error.errno in BROKEN_DISK:
            sys.exit(str(error))
        answer = {"error": f"the body cannot be read: {error}"}
    except Exception as error:  # noqa: BLE001 - an error of a parser is a fault of the upload
        answer = {"error": f"the body cannot be read: {type(error).__name__}: {error}"[:300]}
    print(json.dumps(answer))


def _limit(most_bytes: int, seconds: int) -> None:
    os.nice(NICE)
    limits = {
        resource.RLIMIT_AS: MOST_MEMORY,
        resource.RLIMIT_CPU: seconds,
        resource.RLIMIT_NOFILE: MOST_OPEN,
        resource.RLIMIT_FSIZE: 3 * most_bytes + BLOCK,
        resource.RLIMIT_CORE: 0,
    }
    for limit, value in limits.items():
        grace = GRACE if limit == resource.RLIMIT_CPU else 0  # SIGXCPU, which names the reason, comes before SIGKILL
        resource.setrlimit(limit, (value, value + grace))


if __name__ == "__main__":
    main(*sys.argv[1:])
