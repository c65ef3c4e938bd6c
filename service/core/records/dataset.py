"""A data set: its contents, its status, and the files of its pack."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from service.core.storage import Artifact

PIXELS, INDEX, CONTENTS = "pixels.bin", "index.npz", "contents.json"  # the files of a pack


class DatasetStatus(StrEnum):
    """The status of a data set."""

    PROCESSING = "processing"  # stored as it was sent, and not read yet
    READY = "ready"  # can be trained on
    FAILED = "failed"  # cannot be read, `error` says why
    DELETING = "deleting"  # nothing can be done with it any more


@dataclass(frozen=True)
class Size:
    """How many images have this size, in pixels."""

    width: int
    height: int
    images: int


@dataclass(frozen=True)
class Contents:
    """The images of a set, counted by reading them once.

    `shape` is (channels, height, width): of every image where they are all alike, else what jobs bring them to unless
    their spec says otherwise. `parts` counts the images by the folders train, validation and test, where the set came
    with them. `copies` are the sizes of the groups of images that are (nearly) the same, and how many such groups
    there are.
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
        """What the folder of a pack says of itself."""
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
    """One data set as stored; `bytes` and `sha256` are those of what was sent. Times are unix seconds."""

    id: str
    name: str
    status: DatasetStatus
    contents: Contents | None
    bytes: int | None = None
    sha256: str | None = None
    error: DatasetError | None = None
    created_at: float | None = None
    packed: tuple[Artifact, ...] = ()
