"""The columns of label files, in the spellings of Hugging Face's ImageFolder, Keras, Google's and Azure's AutoML, Label
Studio and Kaggle.
"""

import re
from collections.abc import Mapping, Sequence

from service.core.errors import InvalidData

FILE_NAMES = (
    "filename filenames imagefilename imagefile file files image images img imagename imagepath imgpath imgname path "
    "paths filepath filepaths fname fpath imageid imgid imageurl imgurl picture photo url uri id name"
)
LABELS = (
    "label labels class classname classlabel category categoryname target choice level breed species diagnosis "
    "labelname classid categoryid labelid"
)
GROUPS = "group groups groupid patient patientid subject subjectid"
SPLITS = "split splits subset set dataset datasplit partition fold"
COLUMNS: Mapping[str, Sequence[str]] = {  # as `squeezed` writes them; the first spelling that a table has counts
    "file_name": FILE_NAMES.split(),
    "label": LABELS.split(),
    "group": GROUPS.split(),
    "split": SPLITS.split(),
}
KNOWN = frozenset(spelling for spellings in COLUMNS.values() for spelling in spellings)
VAGUE = ("id", "name", "url", "uri")  # of the file name: they may name other things than images
BOXES = {"xmin", "bbox", "bboxx", "bboxx1", "boundingbox", "x1", "roix1"}
ALLOWED = "the columns file_name and label, group or split; a table names them in its first line"
HUMP = re.compile("(?<=[a-z0-9])(?=[A-Z])")  # between the words of ClassName


def column_name(name: str) -> str:
    """The name in lower case with underscores: `Class Name` and `ClassName` become `class_name`."""
    return re.sub(r"[\s-]+", "_", HUMP.sub("_", name.strip()).lower())


def squeezed(name: str) -> str:
    """The letters and digits of a name in lower case."""
    return re.sub(r"[\W_]+", "", name.lower())


def is_known(column: str) -> bool:
    """Whether a column may be read."""
    return squeezed(column) in KNOWN


def is_vague(column: str) -> bool:
    """Whether a column with the file names may name other things than images."""
    return squeezed(column) in VAGUE


def is_of_boxes(column: str) -> bool:
    """Whether a column has bounding boxes."""
    return squeezed(column) in BOXES


def known_columns(name: str, columns: Sequence[str]) -> dict[str, str]:
    """The columns to read, by key of COLUMNS. Raises InvalidData if they say nothing of images."""
    known = {}
    for key, spellings in COLUMNS.items():
        spelt = {squeezed(column): column for column in reversed(columns)}
        if spelling := next((spelling for spelling in spellings if spelling in spelt), ""):
            known[key] = spelt[spelling]
    if "file_name" not in known or len(known) == 1:
        has = ", ".join(ascii(column)[:40] for column in sorted(columns)[:10]) or "no columns"
        raise InvalidData(f"{name!r} has {has}; expected: {ALLOWED}")
    return known
