"""How a run ended: its last report, from the result of the training or from an error."""

import errno
import logging
from collections.abc import Iterator
from dataclasses import asdict

import torch

from service.core.diagnosis.curves import broken_at
from service.core.errors import DiskFull, Invalid, RightfitError, TrainingError
from service.core.records.epoch import Epoch
from service.core.records.job import Failure, StopReason
from service.core.records.plan import UNLIMITED, plan
from service.core.spec import JobSpec
from service.core.system import DISK_FULL
from service.core.text import GIB
from workers.messages import Ended, Failed, Released
from workers.trainer.training_process import contents_of
from workers.trainer_args import StopRequest, TrainerArgs
from workers.training.loop import TrainingResult

NO_ROOM = DISK_FULL | {errno.EFBIG}  # the last: over the largest size of a file
MOST_CHARACTERS = 500  # of an error's first line

log = logging.getLogger(__name__)


def how_it_ended(fitted: TrainingResult) -> Ended | Released:
    """The last report of a run that came to its end."""
    if fitted.stop_reason == StopRequest.RELEASED:
        return Released(fitted.epochs)
    history = [Epoch.measured(asdict(result)) for result in fitted.history]
    return Ended(StopReason(fitted.stop_reason), fitted.epochs, fitted.best_epoch, broken_at(history))


def failed(error: Exception, args: TrainerArgs) -> Failed:
    """The last report of a run that this error has ended. Unexpected errors are faults of the infrastructure."""
    if isinstance(error, TrainingError):
        return Failed(StopReason(error.stop_reason), Failure(error.origin, error.code, str(error)))
    if isinstance(error, Invalid):
        return Failed(StopReason.INTERNAL_ERROR, Failure("user", error.code, str(error)))
    log.error("unexpected error in the trainer", exc_info=error)
    first_line = (str(error) or type(error).__name__).splitlines()[0][:MOST_CHARACTERS]
    if isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error):
        failure = Failure("infrastructure", "out_of_memory", f"{first_line} {_sizes(args)}")
        return Failed(StopReason.OUT_OF_MEMORY, failure)
    if isinstance(error, DiskFull) or any(
        isinstance(cause, OSError) and cause.errno in NO_ROOM for cause in _causes(error)
    ):
        failure = Failure("infrastructure", "disk_full", f"the worker's disk is full: {first_line}")
    else:
        failure = Failure("infrastructure", RightfitError.code, f"{type(error).__name__}: {first_line}")
    return Failed(StopReason.INTERNAL_ERROR, failure)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and its causes: torch wraps the error of a full disk in one of its own."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _sizes(args: TrainerArgs) -> str:
    """The sizes by the plan, and what to lower."""
    spec = JobSpec.from_dict(args.spec)
    try:
        needed = plan(spec, contents_of(spec, args), UNLIMITED)
    except (RightfitError, OSError):
        return "Lower batch_size, dataset.image_size or the size of the model"
    return (
        f"By the plan, {needed.parameters:,} parameters with the optimizer's state take "
        f"{needed.memory.model_bytes / GIB:.2f} GiB, the activations of a batch of {spec.batch_size} images "
        f"{needed.memory.activations_bytes / GIB:.2f} GiB and all images {needed.memory.data_bytes / GIB:.2f} GiB; "
        "lower batch_size, dataset.image_size or the size of the model"
    )
