"""`python -m workers.datasets.ingest.read FORMAT FILE FOLDER MOST_BYTES SECONDS [OPTIONS [LABELS]]`: an upload becomes
a pack. OPTIONS is a ReadingOptions as JSON, LABELS the label file that was sent beside the upload.

A process of its own, since uploads are not trusted: it has limits on memory, time, files and their size, and a crash
ends this process only. Prints lines of JSON: {"read": …, "of": …} at times, and at the end {"contents": …} or
{"error": …}. It exits 0 for both.
"""

import errno
import hashlib
import json
import os
import resource
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from service.core.errors import InvalidData
from service.core.records.dataset import CONTENTS, PIXELS, Contents, ReadingOptions, Size
from service.core.system import DISK_FULL, die_with_parent
from workers.datasets.ingest import arrays, copies, groups, preflight
from workers.datasets.ingest.classes import MOST_CLASSES, refuse_few
from workers.datasets.ingest.folder_words import PART_NAMES, TRAIN
from workers.datasets.ingest.growth import Growth
from workers.datasets.ingest.intake import Intake
from workers.datasets.ingest.members import BLOCK, Archive
from workers.datasets.ingest.pack import Pack
from workers.datasets.ingest.paths import Place
from workers.datasets.ingest.pictures import Labelled, Pictures
from workers.datasets.ingest.progress import Report, printer, reported
from workers.datasets.ingest.survey import Survey, first_preprocessing

DEFAULTS = ReadingOptions()
BROKEN_DISK = DISK_FULL | {errno.EIO}  # not EFBIG: that is the limit on what the body may decode to
MOST_MEMORY = 4 << 30  # bytes of addresses
MOST_OPEN = 64  # files
GRACE = 5  # seconds of computing
NICE = 10  # training goes first
MOST_SIZES = 20  # that are listed
SMALLEST, USUAL = 8, 224  # the sides to which images of different sizes are brought


def read(
    kind: str,
    source: Path,
    folder: Path,
    most_bytes: int,
    options: ReadingOptions = DEFAULTS,
    labels_file: Path | None = None,
    report: Report = lambda done, total: None,
) -> Contents:
    """Write the pack of a data set into the folder. Raises InvalidData that says what is wrong, and with which file."""
    pictures = Pictures.of(Archive(source, kind, most_bytes), options, labels_file) if kind != "npz" else None
    intake, labelled = _take_in(pictures, source, partial(Pack, folder, most_bytes), options, report)
    checked = _checked(intake, labelled)
    together = groups.merged(checked.copies.groups, labelled.groups)
    intake.pack.index(
        intake.survey.settled,
        labels=checked.labels,
        parts=np.asarray([place.part for place in labelled.places], np.int8),
        copies=together,
        groups=groups.merged(np.arange(len(checked.labels)), labelled.groups),
    )
    warnings = (*labelled.warnings, *preflight.warnings(checked), *intake.survey.warnings())
    contents = _contents(intake.pack, checked, dict(intake.modes), groups.sizes(together), warnings)
    contents = replace(contents, digest=_digest(folder / PIXELS, checked.labels))
    (folder / CONTENTS).write_text(json.dumps(asdict(contents)))
    return contents


def _checked(intake: Intake, labelled: Labelled) -> preflight.Checked:
    """The labels and parts of the images as numbers, and the copies among them."""
    numbers = {label: i for i, label in enumerate(labelled.classes)}
    labels = np.asarray([numbers[place.label] for place in labelled.places], np.int64)
    parts = np.asarray([place.part for place in labelled.places], np.int64) if labelled.is_divided else None
    copied = copies.find(intake.prints, labels)
    return preflight.Checked(labelled.names, labelled.classes, labels, parts, copied, intake.prints.constant)


def _contents(
    pack: Pack,
    checked: preflight.Checked,
    modes: dict[str, int],
    together: dict[int, int],
    warnings: tuple[str, ...],
) -> Contents:
    is_uniform = len({shape[1:] for shape in pack.shapes}) == 1
    return Contents(
        classes=tuple(checked.classes),
        samples_per_class=tuple(np.bincount(checked.labels, minlength=len(checked.classes)).tolist()),
        shape=_shape(pack, is_uniform=is_uniform),
        is_uniform=is_uniform,
        sizes=_sizes(pack),
        modes=modes,
        parts=None if checked.parts is None else _parts(checked.parts),
        copies=together,
        warnings=(*warnings, *_of_sizes(pack, is_uniform=is_uniform)),
    )


def _take_in(
    pictures: Pictures | None, source: Path, new_pack: Callable[[], Pack], options: ReadingOptions, report: Report
) -> tuple[Intake, Labelled]:
    """Read the upload into the pack; once more where the set as a whole shows that its pixels are other ones."""
    used = first_preprocessing(options.background)
    while True:
        intake = Intake(new_pack(), Survey(options.background, used), Growth(source.stat().st_size), report)
        with intake.pack:
            labelled = pictures.read(intake) if pictures else _arrays(source, intake)
            intake.pack.level()
        if not intake.survey.must_repeat:
            return intake, labelled
        used = intake.survey.settled


def _arrays(source: Path, intake: Intake) -> Labelled:
    labels = arrays.labels_of(source)
    known = np.unique(labels).tolist()
    refuse_few([str(label) for label in known])
    names = [f"x[{i}]" for i in range(len(labels))]
    images = reported(arrays.images_of(source, len(labels)), len(labels), intake.report)
    for name, pixels in zip(names, images, strict=True):
        intake.add_pixels(name, pixels)
    missing = sorted(set(range(known[-1])) - set(known)) if known[0] >= 0 and known[-1] < MOST_CLASSES else []
    warnings = [f"no image has the label {', '.join(map(str, missing[:10]))}."] if missing else []
    places = [Place(str(label), TRAIN) for label in labels.tolist()]
    return Labelled(names, places, [str(label) for label in known], warnings=warnings)


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
            f"the images have {different} different sizes: jobs resize all of them to {side}x{side} pixels, or to "
            "dataset.image_size if the spec has one."
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


def main(
    kind: str, source: str, folder: str, most_bytes: str, seconds: str, options: str = "{}", labels: str = ""
) -> None:
    die_with_parent()
    _limit(int(most_bytes), int(seconds))
    reading_options = ReadingOptions(**json.loads(options))
    labels_file = Path(labels) if labels else None
    try:
        contents = read(kind, Path(source), Path(folder), int(most_bytes), reading_options, labels_file, printer())
        answer: dict[str, Any] = {"contents": asdict(contents)}
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
