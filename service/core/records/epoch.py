"""The measures of an epoch. This is their one declaration: the table, the JSON and the CSV are derived from it.

A new measure is a field here, a value in the training loop and a column in a migration.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import NoneType
from typing import Annotated, Any, get_args, get_type_hints


@dataclass(frozen=True)
class Meaning:
    """The words for a measure, and the revision of the schema that added it."""

    words: str
    since: str = "0001"


@dataclass(frozen=True)
class Measures:
    """Losses are mean cross entropy per image (nats); accuracies are shares from 0 to 1.

    As recorded, numbers are finite. A measure that was not taken, or that was not finite, is None.
    """

    epoch: Annotated[int, Meaning("counted from 1")]
    train_loss: Annotated[
        float | None, Meaning("mean cross entropy per image over the epoch, while the weights change")
    ]
    train_loss_clean: Annotated[float | None, Meaning("training images, scored like validation images")]
    val_loss: Annotated[float | None, Meaning("mean cross entropy per validation image, eval mode")]
    train_accuracy: Annotated[float | None, Meaning("share of correct training images, while the weights change")]
    val_accuracy: Annotated[float | None, Meaning("share of correct validation images")]
    penalty: Annotated[float | None, Meaning("the part of the objective that comes from L1 and coupled weight decay")]
    lr: Annotated[float, Meaning("learning rate of the epoch's last step")]
    seconds: Annotated[float, Meaning("duration of the whole epoch, including scoring")]
    images_per_second: Annotated[float, Meaning("training images over the seconds of the epoch")]
    improved: Annotated[bool, Meaning("true if the epoch was the best one so far, so that its model was kept")]
    epochs_without_improvement: Annotated[
        int, Meaning("epochs in a row that count towards the patience of early stopping")
    ]
    val_loss_se: Annotated[
        float | None, Meaning("standard error of val_loss over the validation images", since="0006")
    ] = None
    val_change_se: Annotated[
        float | None,
        Meaning("standard error of val_loss minus that of the best epoch before, image by image", since="0006"),
    ] = None
    joules: Annotated[float | None, Meaning("energy of the GPU, if it is measured", since="0006")] = None
    gradient_norm: Annotated[
        float | None,
        Meaning(
            "mean over the epoch's steps of the L2 norm of all gradients together, before clipping; "
            "with SAM, of those of the second pass",
            since="0013",
        ),
    ] = None
    val_macro_f1: Annotated[float | None, Meaning("mean F1 of all classes on the validation images", since="0015")] = (
        None
    )
    val_balanced_accuracy: Annotated[
        float | None, Meaning("mean recall of all classes on the validation images", since="0015")
    ] = None
    val_worst_recall: Annotated[
        float | None, Meaning("lowest recall of a class that has validation images", since="0015")
    ] = None
    val_loss_calibrated: Annotated[
        float | None, Meaning("lowest val_loss that can be reached with one temperature for all logits", since="0015")
    ] = None
    monitored_se: Annotated[
        float | None,
        Meaning("standard error, over the validation images, of what early stopping monitors", since="0015"),
    ] = None


@dataclass(frozen=True)
class Epoch(Measures):
    """One epoch as it is recorded."""

    flag: Annotated[str | None, Meaning("nan or inf, if a number was not finite")] = None

    @classmethod
    def measured(cls, values: Mapping[str, Any]) -> "Epoch":
        """From raw measures: non-finite numbers become None, and `flag` is `nan` or `inf` (`nan` wins)."""
        odd = [v for v in values.values() if isinstance(v, float) and not math.isfinite(v)]
        flag = ("nan" if any(math.isnan(v) for v in odd) else "inf") if odd else None
        finite: dict[str, Any] = {
            k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in values.items()
        }
        return cls(**finite, flag=flag)


@dataclass(frozen=True)
class Measure:
    """How a measure is stored and shown. `type` is int, float, bool or str."""

    name: str
    type: type
    is_nullable: bool
    meaning: str
    since: str


def _declared(name: str, hint: Any) -> Measure:
    declared, meaning = get_args(hint)
    types = get_args(declared) or (declared,)
    kind = next(one for one in types if one is not NoneType)
    return Measure(name, kind, NoneType in types, meaning.words, meaning.since)


# Older measures come first, so that a new one is the last column of a CSV.
MEASURES = tuple(
    sorted(
        (_declared(name, hint) for name, hint in get_type_hints(Epoch, include_extras=True).items()),
        key=lambda measure: measure.since,
    )
)
COLUMNS = tuple(measure.name for measure in MEASURES)
