"""Recipes: good settings for a data set, by the size, the channels and the number of its images, with their reasons.

The defaults of a spec are those of a plain network. A recipe fills the options that a spec leaves open.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from service.core.diagnosis.run_context import RunContext
from service.core.records.dataset import Contents, Size
from service.core.spec import Dataset, JobSpec
from service.core.spec.patch import Operations

MOST_BLOCKS, MOST_CHANNELS = 5, 256  # more cost time on a CPU and need more images
FEW_IMAGES = 2_000  # for training; with fewer, smaller batches give enough steps
COLORS = 3  # red, green and blue
LEAST_SHIFTED_SIDE = 16  # pixels; a shift by a sixteenth of a smaller image is no pixel
LEAST_POLICY_SIDE = 32  # pixels; TrivialAugment's operations are made for photographs
LEAST_RATIO, MOST_RATIO = 1.1, 2.0  # of the longer side to the shorter one: a crop matters, and leaves the most
MEASURED = "measured: tests/golden/effects.md"
ONE_CYCLE = "Smith and Topin, 2018"


@dataclass(frozen=True)
class DataFacts:
    """What recipes depend on: the number of images, their channels and their shorter side in pixels, whether a
    mirrored image keeps its class, the usual ratio of the longer side of a picture to the shorter one, and whether all
    pictures become squares of `side` pixels, whatever a recipe says.
    """

    images: int
    channels: int
    side: int
    may_be_mirrored: bool
    ratio: float = 1.0
    are_resized: bool = False

    @property
    def are_photographs(self) -> bool:
        """Whether the images have colours, and are large enough for operations that are made for photographs."""
        return self.channels == COLORS and self.side >= LEAST_POLICY_SIDE

    @classmethod
    def of(cls, contents: Contents, dataset: Dataset) -> "DataFacts":
        """The facts of a data set as a spec uses it."""
        case = RunContext(JobSpec(dataset), contents)
        side = case.side or min(contents.shape[1:])
        images = round(contents.samples * (1 - dataset.val_fraction - dataset.test_fraction))
        limited = min(images, dataset.train_limit or images)
        are_resized = dataset.image_size is not None or not contents.is_uniform
        return cls(limited, contents.shape[0], side, case.may_be_mirrored, _ratio(contents), are_resized)


@dataclass(frozen=True)
class Choice:
    """Values that belong together, by their JSON pointers, with the reason for them and its source."""

    values: Mapping[str, Any]
    reason: str
    source: str

    @property
    def operations(self) -> Operations:
        """The choice as a JSON Patch (RFC 6902) of a spec with every default."""
        return [{"op": "add", "path": pointer, "value": value} for pointer, value in self.values.items()]


@dataclass(frozen=True)
class Recipe:
    """A name, what it is for, and its choices, each of which can be left out."""

    name: str
    purpose: str
    choices: tuple[Choice, ...]

    @property
    def operations(self) -> Operations:
        """The recipe as a JSON Patch (RFC 6902) of a spec with every default."""
        return [operation for choice in self.choices for operation in choice.operations]


@dataclass(frozen=True)
class _Effort:
    """The size of a recipe: the first block's channels, the longest side in pixels, and the range of the epochs."""

    width: int
    most_side: int
    steps: int
    least_epochs: int
    most_epochs: int


QUICK = _Effort(width=16, most_side=32, steps=200, least_epochs=8, most_epochs=20)
GOOD = _Effort(width=32, most_side=96, steps=1_200, least_epochs=20, most_epochs=60)


def recipes_for(facts: DataFacts) -> list[Recipe]:
    """The recipes for a data set: `quick`, a first look within about a minute, and `good`, a model to use."""
    return [
        Recipe("quick", "a first look", (*_sizes(facts, QUICK), *_mirrored(facts))),
        Recipe("good", "a good model", (*_sizes(facts, GOOD), *_regularized(), *_mirrored(facts), *_varied(facts))),
    ]


def _sizes(facts: DataFacts, effort: _Effort) -> tuple[Choice, ...]:
    """The size of the images, the network and the length of the run."""
    side = min(facts.side, effort.most_side)
    resized = Choice(
        {"/dataset/image_size": side},
        f"images of {facts.side} pixels are scaled down: the time of an epoch grows with the square of the side",
        "arithmetic",
    )
    cropped = Choice(
        {"/dataset/resize": "crop"},
        f"the longer side of a picture is usually {facts.ratio:.1f} times the shorter one: its middle is not distorted",
        "Krizhevsky et al., 2012",
    )
    are_squares = facts.are_resized or side < facts.side
    is_cropped = facts.are_photographs and are_squares and LEAST_RATIO <= facts.ratio <= MOST_RATIO
    return (
        *([resized] if side < facts.side else []),
        *([cropped] if is_cropped else []),
        _network(side, effort),
        _schedule(facts, effort),
    )


def _network(side: int, effort: _Effort) -> Choice:
    blocks = min(MOST_BLOCKS, max(1, int(math.log2(side)) - 1))
    return Choice(
        {"/model/arch": "cnn", "/model/channels": doubling(effort.width, blocks), "/model/norm": "batch"},
        f"each block halves the {side} pixels; batch normalization lowered the loss on three of four data sets and "
        "raised it on none",
        MEASURED,
    )


def doubling(width: int, blocks: int) -> list[int]:
    """The channels of each block: `width` in the first, each time twice as many after it, at most MOST_CHANNELS."""
    return [min(MOST_CHANNELS, width * 2**block) for block in range(blocks)]


def _schedule(facts: DataFacts, effort: _Effort) -> Choice:
    """A run of about `effort.steps` steps whose learning rate rises and falls once."""
    batch = 32 if facts.images < FEW_IMAGES else 64
    steps = max(1, facts.images // batch)
    epochs = min(effort.most_epochs, max(effort.least_epochs, effort.steps // steps))
    return Choice(
        {
            "/batch_size": batch,
            "/epochs": epochs,
            "/optimizer/name": "adamw",
            "/optimizer/lr": 3e-3,
            "/schedule/name": "onecycle",
            "/regularization/weight_decay": 0.05,
            "/early_stopping": None,
        },
        f"{epochs} epochs of {steps} steps. The learning rate rises, then falls to almost 0, which brings the gain of "
        "the last epochs, so the run goes to its end. The model of the best epoch is kept",
        f"{ONE_CYCLE}; Loshchilov and Hutter, 2019",
    )


def _regularized() -> tuple[Choice, ...]:
    return (
        Choice(
            {"/model/arch": "cnn", "/regularization/dropout": 0.3},
            "dropout lowered the loss of a cnn on two of four data sets and raised it on none",
            MEASURED,
        ),
    )


def _mirrored(facts: DataFacts) -> tuple[Choice, ...]:
    mirrored = Choice(
        {"/augmentation/horizontal_flip": True},
        "by the names of the classes, mirrored images keep their class: twice as many images",
        MEASURED,
    )
    return (mirrored,) if facts.may_be_mirrored else ()


def _varied(facts: DataFacts) -> tuple[Choice, ...]:
    """Augmentations that need a certain size."""
    shifted = Choice(
        {"/augmentation/crop_padding": min(facts.side, GOOD.most_side) // 16},
        "shifts by up to a sixteenth of the side: the network never sees the same image twice",
        "He et al., 2016",
    )
    policy = Choice(
        {"/augmentation/trivial_augment": True},
        "TrivialAugment lowered the loss on colour pictures of scenes",
        f"{MEASURED}; Mueller and Hutter, 2021",
    )
    return (*([shifted] if facts.side >= LEAST_SHIFTED_SIDE else []), *([policy] if facts.are_photographs else []))


def _ratio(contents: Contents) -> float:
    """The median ratio of the longer side of a picture to the shorter one."""
    _, height, width = contents.shape
    sizes = contents.sizes or (Size(width, height, 1),)
    ratios = sorted((max(size.width, size.height) / min(size.width, size.height), size.images) for size in sizes)
    half, seen = sum(count for _, count in ratios) / 2, 0
    for ratio, count in ratios:
        seen += count
        if seen >= half:
            return ratio
    return 1.0
