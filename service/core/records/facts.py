"""Facts of a job beside its epochs: numbers of images, the scores of guessing, the final test, the temperature."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from service.core.records.epoch import Epoch

if TYPE_CHECKING:  # NumPy is slow to import, and the records are used by every command
    from service.core.evaluation.calibration import Calibration, Summary


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
class Facts:
    """`images` are the numbers of images in train, validation and test. `trivial_loss` (nats) and `trivial_accuracy`
    are the scores of guessing by the labels' frequencies. `copies_across` counts the validation images that have a
    copy among the training images. `test` and `calibration` are measured after training.
    """

    images: Mapping[str, int]
    trivial_loss: float
    trivial_accuracy: float
    copies_across: int = 0
    test: TestScore | None = None
    calibration: CalibrationFact | None = None

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Facts":
        """From plain data, as `asdict` has it; `test` and `calibration` may be missing."""
        test, calibration = data.get("test"), data.get("calibration")
        scores = {
            "test": TestScore(**test) if test else None,
            "calibration": CalibrationFact(**calibration) if calibration else None,
        }
        return cls(**{**data, **scores})

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as `from_dict` reads it; without `test` and `calibration` where they are unknown."""
        return {name: value for name, value in asdict(self).items() if value is not None}
