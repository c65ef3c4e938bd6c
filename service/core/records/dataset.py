"""A data set: its contents, its status, and the files of its pack."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from service.core.storage import Artifact

PIXELS, INDEX, CONTENTS = "pixels.bin", "index.npz", "contents.json"  # the files of a pack
BACKGROUNDS = ("white", "black", "mean")  # the first is the default; mean: the mean colour of the visible pixels


class DatasetStatus(StrEnum):
    """The status of a data set."""

    PROCESSING = "processing"  # uploaded, and not read yet
    READY = "ready"  # can be trained on
    FAILED = "failed"  # cannot be read, `error` says why
    DELETING = "deleting"  # cannot be used any more


@dataclass(frozen=True)
class ReadingOptions:
    """How an upload is read. `skip_broken`: images that cannot be read are left out, and do not refuse the set.
    `background` is the ground below transparent pixels, one of BACKGROUNDS.
    """

    skip_broken: bool = False
    background: str = "white"


@dataclass(frozen=True)
class Size:
    """A size in pixels, and the number of images that have it."""

    width: int
    height: int
    images: int


@dataclass(frozen=True)
class Contents:
    """The images of a set, counted by reading them once.

    `shape` is (channels, height, width): that of every image if all are alike, else the shape to which jobs scale them
    unless their spec sets another. `parts` counts the images in the folders train, validation and test, if the set
    has them. `copies` counts the groups of images that stay together in a split, by their size: (nearly)
    equal images, and the groups of a label file.
    """

    classes: tuple[str, ...]
    samples_per_class: tuple[int, ...]
    shape: tuple[int, int, int]
    is_uniform: bool = True
    sizes: tuple[Size, ...] = ()
    modes: Mapping[str, int] = field(default_factory=dict)
    parts: Mapping[str, int] | None = None
    copies: Mapping[int, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    digest: str = ""

    @property
    def samples(self) -> int:
        return sum(self.samples_per_class)

    @classmethod
    def of_pack(cls, folder: Path) -> "Contents":
        """The contents that the folder of a pack describes."""
        return cls.from_dict(json.loads((folder / CONTENTS).read_text()))

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> "Contents":
        """From plain data, as `asdict` or JSON have it."""
        given: dict[str, object] = dict(data)
        for name in ("classes", "samples_per_class", "shape", "warnings"):
            given[name] = tuple(given[name])  # type: ignore[arg-type]
        given["sizes"] = tuple(Size(**size) for size in data["sizes"])  # type: ignore[attr-defined]
        given["copies"] = {int(size): count for size, count in data["copies"].items()}  # type: ignore[attr-defined]
        return cls(**given)  # type: ignore[arg-type]


@dataclass(frozen=True)
class DatasetError:
    """Why a data set cannot be used: a code for programs and words for people."""

    code: str
    detail: str


@dataclass(frozen=True)
class Dataset:
    """One data set as stored; `bytes` and `sha256` are those of the upload. Times are unix seconds."""

    id: str
    name: str
    status: DatasetStatus
    contents: Contents | None
    bytes: int | None = None
    sha256: str | None = None
    error: DatasetError | None = None
    created_at: float | None = None
    packed: tuple[Artifact, ...] = ()
    options: ReadingOptions = field(default_factory=ReadingOptions)
