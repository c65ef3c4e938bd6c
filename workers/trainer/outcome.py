"""How a job ended, in the words of its last report: what was reached, or what failed and whose fault it was."""

import errno
import logging
from collections.abc import Callable, Iterator
from typing import Any

import torch

from service.core.errors import Invalid, RightfitError, TrainingError
from service.core.files import DISK_FULL
from service.core.records.plan import UNLIMITED, plan
from service.core.spec import JobSpec
from service.core.units import GIB
from workers.supervisor.forkserver import TrainerArgs
from workers.trainer.train_job import contents_of
from workers.training.loop import TrainingResult

NO_ROOM = DISK_FULL | {errno.EFBIG}  # the last: over the largest size of a file

Ending = tuple[str, dict[str, Any]]  # `ended` or `failed`, and how

log = logging.getLogger(__name__)


def conclusion(train: Callable[[], TrainingResult], work: TrainerArgs) -> Ending:
    """The last report of a job that `train` runs."""
    try:
        fitted = train()
    except TrainingError as error:
        return "failed", failure(error.stop_reason, error.origin, error.code, str(error))
    except Invalid as error:
        return "failed", failure("internal_error", "user", error.code, str(error))
    except Exception as error:
        log.exception("nobody foresaw this")
        return "failed", told(error, work)
    reached = {"stop_reason": fitted.stop_reason, "epochs": fitted.epochs, "best_epoch": fitted.best_epoch}
    return "ended", reached


def told(error: Exception, work: TrainerArgs) -> dict[str, str]:
    """What becomes of an error that nobody foresaw: the infrastructure failed the job."""
    first_line = (str(error) or type(error).__name__).splitlines()[0][:500]
    if isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error):
        detail = f"{first_line} {_sizes(work)}"
        return failure("out_of_memory", "infrastructure", "out_of_memory", detail)
    if any(isinstance(cause, OSError) and cause.errno in NO_ROOM for cause in _causes(error)):
        return failure("internal_error", "infrastructure", "disk_full", f"the worker's disk is full: {first_line}")
    detail = f"{type(error).__name__}: {first_line}"
    return failure("internal_error", "infrastructure", RightfitError.code, detail)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and those it came of: torch hides a full disk behind an error of its own."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _sizes(work: TrainerArgs) -> str:
    """What did not fit, by the plan, and what to lower."""
    spec = JobSpec.from_dict(work.spec)
    try:
        needed = plan(spec, contents_of(spec, work), UNLIMITED)
    except (RightfitError, OSError):
        return "Lower batch_size, dataset.image_size or the size of the model"
    return (
        f"By the plan, {needed.parameters:,} parameters with the optimizer's state take "
        f"{needed.memory.model_bytes / GIB:.2f} GiB, the activations of a batch of {spec.batch_size} images "
        f"{needed.memory.activations_bytes / GIB:.2f} GiB and all images {needed.memory.data_bytes / GIB:.2f} GiB; "
        "lower batch_size, dataset.image_size or the size of the model"
    )


def failure(stop_reason: str, origin: str, code: str, detail: str) -> dict[str, str]:
    return {"stop_reason": stop_reason, "origin": origin, "code": code, "detail": detail}
