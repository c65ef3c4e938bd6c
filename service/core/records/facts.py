"""Facts of a job beside its epochs: numbers of images, the scores of guessing, and what the best model does: its score
on the test images, its temperature, and its recall of rare classes.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from service.core.records.epoch import Epoch
from service.core.records.members import known_members

if TYPE_CHECKING:  # NumPy is slow to import, and the records are used by every command
    from service.core.evaluation.calibration import Calibration, Summary

SURE = 2.0  # standard errors
TELLING = 0.2  # neighbours tell the class if they are right for this share of the images more than guessing


@dataclass(frozen=True)
class TestScore:
    """The test images, scored once, after training, with the best weights. `loss_se` is its standard error."""

    loss: float
    accuracy: float
    loss_se: float | None = None

    def optimism(self, best: Epoch) -> tuple[float | None, float | None]:
        """Test loss minus the validation loss of the best epoch, in nats, and its standard error.

        The best epoch is chosen by its validation loss, which is therefore too low on average.
        """
        if best.val_loss is None:
            return None, None
        known = self.loss_se is not None and best.val_loss_se is not None
        error = math.hypot(self.loss_se or 0.0, best.val_loss_se or 0.0) if known else None
        return self.loss - best.val_loss, error


@dataclass(frozen=True)
class CalibrationFact:
    """The temperature that divides the logits of the best model, fitted on its validation images.

    `loss` (nats) and `ece` are those of the validation images without it, `loss_after` and `ece_after` with it, by
    cross-fitting.
    """

    temperature: float
    loss: float
    loss_after: float
    ece: float
    ece_after: float

    @classmethod
    def of(cls, measured: "Calibration | Summary") -> "CalibrationFact":
        """From the calibration of the validation images."""
        return cls(**{member.name: getattr(measured, member.name) for member in fields(cls)})


@dataclass(frozen=True)
class Mirroring:
    """Of `images` training images, how many have a nearest neighbour of their own class: as they are (`right`), and
    mirrored (`mirrored`).
    """

    images: int
    right: int
    mirrored: int

    def keeps_classes(self, guessed: float) -> bool | None:
        """Whether mirrored images keep their class; None where neighbours tell little more than guessing does.

        `guessed` is the accuracy of guessing, 0 to 1. A share counts as lower beyond SURE standard errors.
        """
        right, mirrored = self.right / self.images, self.mirrored / self.images
        error = math.sqrt((right * (1 - right) + mirrored * (1 - mirrored)) / self.images)
        if right - guessed <= max(SURE * error, TELLING):
            return None
        return right - mirrored <= SURE * error


@dataclass(frozen=True)
class ClassRecall:
    """The best model is right on `right` of the `images` validation images of a class with `train` training images."""

    label: str
    train: int
    images: int
    right: int


@dataclass(frozen=True)
class RareClasses:
    """The best model on the validation images of rare classes (`images`, `right`) and of the others (`other_images`,
    `other_right`). `classes` has those rare classes with the lowest recall.

    A class is rare if it has less than half of the mean number of training images of a class.
    """

    images: int
    right: int
    other_images: int
    other_right: int
    classes: tuple[ClassRecall, ...]

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "RareClasses":
        """From plain data, as `asdict` has it."""
        classes = tuple(ClassRecall(**known_members(ClassRecall, each)) for each in data["classes"])
        return cls(**{**known_members(cls, data), "classes": classes})


@dataclass(frozen=True)
class Average:
    """The model kept with the option average_best: the mean of the weights of `epochs`, chosen among `tried`, the best
    first in both. A single epoch: no average scored better. The other members are its scores on the validation images.
    """

    tried: tuple[int, ...]
    epochs: tuple[int, ...]
    val_loss: float
    val_loss_se: float | None
    val_accuracy: float
    val_macro_f1: float | None
    val_balanced_accuracy: float | None
    val_worst_recall: float | None
    val_loss_calibrated: float | None

    @property
    def is_kept(self) -> bool:
        """Whether the model is an average of several epochs."""
        return len(self.epochs) > 1

    @property
    def scores(self) -> dict[str, Any]:
        """The scores by the names of the measures of an epoch."""
        return {name: getattr(self, name) for name in AVERAGE_SCORES}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Average":
        """From plain data, as `asdict` has it."""
        return cls(**{**known_members(cls, data), "tried": tuple(data["tried"]), "epochs": tuple(data["epochs"])})


AVERAGE_SCORES = tuple(field.name for field in fields(Average) if field.name not in ("tried", "epochs"))


@dataclass(frozen=True)
class Facts:
    """`images` are the numbers of images in train, validation and test. `trivial_loss` (nats) and `trivial_accuracy`
    are the scores of guessing by the labels' frequencies. `copies_across` counts the validation images that have a
    copy among the training images. `mirroring` says whether mirrored images keep their class. `test`, `calibration`,
    `rare` and `average` are measured after training.
    """

    images: Mapping[str, int]
    trivial_loss: float
    trivial_accuracy: float
    copies_across: int = 0
    mirroring: Mirroring | None = None
    test: TestScore | None = None
    calibration: CalibrationFact | None = None
    rare: RareClasses | None = None
    average: Average | None = None

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Facts":
        """From plain data, as `asdict` has it; what is measured after training may be missing. Members of a later
        release are left out.
        """
        test, calibration, rare = data.get("test"), data.get("calibration"), data.get("rare")
        mirroring, average = data.get("mirroring"), data.get("average")
        parts = {
            "mirroring": Mirroring(**known_members(Mirroring, mirroring)) if mirroring else None,
            "test": TestScore(**known_members(TestScore, test)) if test else None,
            "calibration": CalibrationFact(**known_members(CalibrationFact, calibration)) if calibration else None,
            "rare": RareClasses.from_dict(rare) if rare else None,
            "average": Average.from_dict(average) if average else None,
        }
        return cls(**{**known_members(cls, data), **parts})

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as `from_dict` reads it; without what is unknown."""
        return {name: value for name, value in asdict(self).items() if value is not None}
