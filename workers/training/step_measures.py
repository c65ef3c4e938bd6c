"""What each step measures for its epoch: a table. The state keeps the values of each step, the loop sums and divides.

To add a measure: declare it in service/core/records/epoch.py, add its row here, add its column in a migration.
"""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class StepOutcome:
    """What a step computed on one process, from its rows of the batch. The tensors are scalars on the device."""

    loss: Tensor  # mean data term of the rows
    hits: Tensor  # rows that were classified correctly; of a mixed image, each label counts with its share
    gradient_norm: Tensor  # before clipping, of the gradient that is averaged over the processes: equal on all of them
    rows: int  # images
    portion: float  # of the batch's images, those that the rows stand for; over the processes they add up to the batch
    processes: int


@dataclass(frozen=True)
class StepMeasure:
    """A measure of an epoch that is a mean: a sum over steps and processes, divided by the epoch's images or steps."""

    name: str  # in the record of an epoch
    key: str  # in a checkpoint
    value: Callable[[StepOutcome], Tensor]  # this process's part of the sum; must not synchronize
    is_per_image: bool  # else per step

    def mean(self, total: float, images: int, steps: int) -> float:
        """The mean over an epoch of `images` images and `steps` steps."""
        return total / (images if self.is_per_image else steps)


def _hits(outcome: StepOutcome) -> Tensor:
    if outcome.portion == outcome.rows:
        return outcome.hits
    return outcome.hits * (outcome.portion / outcome.rows)


STEP_MEASURES = (
    StepMeasure("train_loss", "losses", lambda outcome: outcome.loss * outcome.portion, is_per_image=True),
    StepMeasure("train_accuracy", "hits", _hits, is_per_image=True),
    StepMeasure(
        "gradient_norm",
        "gradient_norms",
        lambda outcome: outcome.gradient_norm / outcome.processes,  # each of them has the whole norm
        is_per_image=False,
    ),
)
