"""The messages between a supervisor and its trainer process. They travel by pickle over a multiprocessing connection.

Both processes are of one release, so the messages may change with any release. Each side matches them by type. A
trainer sends its reports in lists, whose epochs are recorded together; a supervisor sends single orders.
"""

from dataclasses import dataclass

from service.core.diagnosis.verdicts import Verdict
from service.core.records.epoch import Epoch
from service.core.records.facts import Average, CalibrationFact, Facts, RareClasses, TestScore
from service.core.records.job import Failure, Phase, StopReason
from service.core.records.position import Position
from service.core.records.splits import Splits
from workers.trainer_args import StopRequest

# From the trainer to its supervisor


@dataclass(frozen=True)
class PhaseEntered:
    """The run enters a phase."""

    phase: Phase


@dataclass(frozen=True)
class StepsTrained:
    """How many batches this process has trained since it started, and at times where it is."""

    steps: int
    position: Position | None = None


@dataclass(frozen=True)
class FactsFound:
    """The facts about the data, before the first epoch, without a test score; the names of its splits; and warnings
    where the split differs from what the spec asks for.
    """

    facts: Facts
    splits: Splits
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class EpochTrained:
    """An epoch is complete."""

    epoch: Epoch


@dataclass(frozen=True)
class CheckpointSaved:
    """Checkpoint `number` of this process is in the scratch folder.

    It holds `epochs` complete epochs; its best model is that of `best_epoch` (None: there is none).
    """

    number: int
    epochs: int
    best_epoch: int | None


@dataclass(frozen=True)
class Diagnosed:
    """The verdict on the run so far, or the final one. The fields are those of the job's event `diagnosis`."""

    verdict: Verdict
    confidence: float
    onset_epoch: int | None
    summary: str
    is_final: bool


@dataclass(frozen=True)
class Tested:
    """The best model: its score on the test images, the temperature for its logits, its recall of rare classes, and
    what came of averaging the best epochs; None where unknown.
    """

    score: TestScore | None
    calibration: CalibrationFact | None = None
    rare: RareClasses | None = None
    average: Average | None = None


@dataclass(frozen=True)
class Ended:
    """The run has ended after `epochs` epochs, and its files are written.

    `broken_at` is the epoch from which on the losses were not finite; None if the last ones are.
    """

    stop_reason: StopReason
    epochs: int
    best_epoch: int | None
    broken_at: int | None


@dataclass(frozen=True)
class Released:
    """The run has stopped after `epochs` epochs, to be continued from its last checkpoint."""

    epochs: int


@dataclass(frozen=True)
class Failed:
    """The run has failed."""

    stop_reason: StopReason
    failure: Failure


Ending = Ended | Released | Failed
Report = PhaseEntered | StepsTrained | FactsFound | EpochTrained | CheckpointSaved | Diagnosed | Tested | Ending

# From the supervisor to its trainer


@dataclass(frozen=True)
class Stop:
    """Stop before the next batch."""

    request: StopRequest


@dataclass(frozen=True)
class LeaseExtended:
    """The lease lasts until `held_until`, on the machine's monotonic clock."""

    held_until: float


Order = Stop | LeaseExtended
