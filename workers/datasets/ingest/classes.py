"""The classes of a data set: their order, and what is wrong or odd with them."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from service.core.errors import InvalidData
from workers.datasets.ingest.folder_words import PART_NAMES, TRAIN
from workers.datasets.ingest.paths import EXPECTED, Place, listed

MOST_CLASSES = 10_000
NUMBER = re.compile(r"(-?[0-9]{1,18})(?:\.0+)?")  # pandas writes whole numbers as 2.0 if a value is missing


def in_order(labels: Iterable[str]) -> list[str]:
    """The different labels: by value if all are whole numbers (1, 2, 10), else by their characters."""
    labels = set(labels)
    numbers = {label: int(match[1]) for label in labels if (match := NUMBER.fullmatch(label))}
    return sorted(labels, key=lambda label: (numbers[label], label) if len(numbers) == len(labels) else (0, label))


def refuse_few(classes: Sequence[str], left_out: Iterable[str] = ()) -> None:
    """Raise InvalidData unless there are two classes to tell apart, and no more than allowed. `left_out` says which
    images belong to no class.
    """
    if len(classes) < 2:  # noqa: PLR2004 - nothing to tell apart
        what = f"there is one class only, {classes[0]!r}; a classifier needs two or more"
        raise InvalidData("; ".join([what, *left_out, EXPECTED]))
    if len(classes) > MOST_CLASSES:
        raise InvalidData(f"there are {len(classes):,} classes; at most {MOST_CLASSES:,}")


def refuse_untrained(classes: Sequence[str], places: Sequence[Place]) -> None:
    """Raise InvalidData for a class that has images to validate or test on only."""
    trained = {place.label for place in places if place.part == TRAIN}
    if missing := [label for label in classes if label not in trained]:
        alike = [label for label in trained if _key(label) == _key(missing[0])]
        but = f"; {alike[0]!r} differs by case or a space" if alike else ""
        raise InvalidData(f"class {missing[0]!r} has validation or test images, but none in the train folder{but}")


def odd_classes(classes: Sequence[str], places: Sequence[Place]) -> Iterator[str]:
    """Warnings about names that differ by case or a space, and about classes that a part of the split lacks."""
    alike: dict[str, list[str]] = defaultdict(list)
    for label in classes:
        alike[_key(label)].append(label)
    for labels in alike.values():
        if len(labels) > 1:
            yield f"the names of the classes {listed(labels)} differ only by case or a space; they stay {len(labels)}."
    for part, name in enumerate(PART_NAMES):
        has = {place.label for place in places if place.part == part}
        if has and (missing := [label for label in classes if label not in has]):
            yield f"the {name} images have none of the class{'es' if len(missing) > 1 else ''} {listed(missing)}."


def _key(label: str) -> str:
    folded = unicodedata.normalize("NFKC", label).casefold()
    return "".join(c for c in folded if not c.isspace() and unicodedata.category(c) != "Cf")
