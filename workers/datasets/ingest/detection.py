"""Signs of a data set for object detection or segmentation, whose folders say no classes."""

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

from workers.datasets.ingest.folder_words import is_container, part_of

FORMATS = {  # the paths of annotations, in lower case
    "YOLO": re.compile(r"(?:.*/)?(?:labels?/.*|[^/]*_darknet[^/]*)\.txt"),
    "COCO": re.compile(r"(?:.*/)?(?:annotations?/.*|[^/]*annotations?[^/]*)\.json"),
    "Pascal VOC": re.compile(r"(?:.*/)?annotations?/.*\.xml"),
}

VOC_IMAGES = "jpegimages"  # the folder of all images of a Pascal VOC set, in lower case
ANNOTATIONS = re.compile(r"(?:^|/)(?:annotation|label)s?/", re.IGNORECASE)


def of_detection(others: Iterable[str]) -> str:
    """What the files that are no pictures say of such a set, empty if nothing."""
    for name in others:
        for called, pattern in FORMATS.items():
            if pattern.fullmatch(name.lower()):
                return f"this looks like a {called} set for object detection: {name!r}"
    return ""


def of_voc(folders: Iterable[str]) -> str:
    """What folders of images say of such a set, empty if nothing."""
    name = next((folder for folder in folders if folder.lower() == VOC_IMAGES), None)
    return f"this looks like a Pascal VOC set for object detection: the folder {name!r}" if name else ""


def beside_classes(others: Iterable[str], classes: Iterable[str]) -> list[str]:
    """The annotations without folders of classes below theirs. ImageNet's have such folders, and so have its images."""
    known = set(classes)
    return [name for name in others if of_detection([name]) and known.isdisjoint(_below_annotations(name))]


def has_one_for_each(annotations: Iterable[str], pictures: Iterable[str]) -> bool:
    """Whether annotations are called like pictures that lie in a folder such as `images` or `train`."""
    stems = {PurePosixPath(name).stem for name in annotations}
    return any(_is_in_no_class(path) and path.stem in stems for path in map(PurePosixPath, pictures))


def _is_in_no_class(path: PurePosixPath) -> bool:
    return is_container(path.parent.name) or part_of(path.parent.name) is not None


def _below_annotations(name: str) -> list[str]:
    """The folders of a file below the folder `annotations` or `labels`."""
    return ANNOTATIONS.split(name)[-1].split("/")[:-1]
