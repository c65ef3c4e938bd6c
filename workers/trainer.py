"""The trainer process: a spec becomes data, a model and a run; what comes of it are files and reports.

It knows no database and no queue. Reports go to the supervisor over a pipe as (kind, data) pairs; a stop reason that
comes back over it ends the run at the next batch. It dies with its supervisor.
"""

import errno
import logging
import math
import multiprocessing
import os
import pickle
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from itertools import count
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch
from torch import nn

from service.core.builtin import CONTENTS_OF
from service.core.datasets import Contents
from service.core.diagnosis import Case, diagnose
from service.core.errors import (
    CheckpointMismatch,
    DeviceUnavailable,
    Invalid,
    RightfitError,
    SpecNotUnderstood,
    TrainingError,
)
from service.core.facts import Facts
from service.core.history import Epoch
from service.core.jobs import StopReason
from service.core.plan import GIB, UNLIMITED, plan
from service.core.results import ONNX, REPORT, SAFETENSORS, SPLIT
from service.core.spec import JobSpec, unknown_parts
from workers.energy import meter
from workers.narration import say
from workers.scratch import Scratch
from workers.training.checkpoint import load_tensors, save_json, save_tensors
from workers.training.data import Places
from workers.training.data.prepare import Prepared, prepare
from workers.training.evaluate import evaluate, scoring_batch
from workers.training.export import save_onnx, save_safetensors
from workers.training.facts import facts
from workers.training.loop import Fitted, Parts, fit
from workers.training.models import build_model
from workers.training.parent import die_with_parent
from workers.training.process import tune
from workers.training.report import summary
from workers.training.state import EpochResult, Snapshot
from workers.transcript import begin
from workers.warm import RELEASED, Work
from workers.watch import Watch, told_of

CHECKED_IMAGES = 64  # on which model.onnx must agree with torch
NEWS_SECONDS = 15.0  # how often the log says that an epoch goes on
TELL_SECONDS = 0.5  # how often the supervisor is told that batches are trained
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

Report = Callable[[str, dict[str, Any]], None]

log = logging.getLogger(__name__)


def main(work: Work, connection: Connection) -> None:
    """Run one job and report how it ended: `ended` with a stop reason, or `failed` with whose fault it was."""
    _die_with_supervisor()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    line = Line(connection, work.held_until)
    try:
        begin(Scratch(Path(work.folder)).log)
        log.info("attempt %d by %s, torch %s, %d threads", work.attempt, work.worker, torch.__version__, work.threads)
        tune(work.threads)
        spec = understood(work.spec)
        fitted = run(spec, Scratch(Path(work.folder)), line.report, line.stop_reason, work)
        line.report(
            "ended", {"stop_reason": fitted.stop_reason, "epochs": fitted.epochs, "best_epoch": fitted.best_epoch}
        )
    except TrainingError as error:
        line.report("failed", _failure(error.stop_reason, error.origin, error.code, str(error)))
    except Invalid as error:
        line.report("failed", _failure("internal_error", "user", error.code, str(error)))
    except Exception as error:
        log.exception("nobody foresaw this")
        line.report("failed", told(error, work))


def told(error: Exception, work: Work) -> dict[str, str]:
    """What becomes of an error that nobody foresaw: the infrastructure failed the job."""
    first_line = (str(error) or type(error).__name__).splitlines()[0][:500]
    if isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error):
        detail = f"{first_line} {_sizes(work)}"
        return _failure("out_of_memory", "infrastructure", "out_of_memory", detail)
    if any(isinstance(cause, OSError) and cause.errno in DISK_FULL for cause in _causes(error)):
        return _failure("internal_error", "infrastructure", "disk_full", f"the worker's disk is full: {first_line}")
    detail = f"{type(error).__name__}: {first_line}"
    return _failure("internal_error", "infrastructure", RightfitError.code, detail)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and those it came of: torch hides a full disk behind an error of its own."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _sizes(work: Work) -> str:
    """What did not fit, by the plan, and what to lower."""
    spec = JobSpec.from_dict(work.spec)
    try:
        needed = plan(spec, _contents(spec, work), UNLIMITED)
    except (RightfitError, OSError):
        return "Lower batch_size, dataset.image_size or the size of the model"
    return (
        f"By the plan, {needed.parameters:,} parameters with the optimizer's state take "
        f"{needed.memory.model_bytes / GIB:.2f} GiB, the activations of a batch of {spec.batch_size} images "
        f"{needed.memory.activations_bytes / GIB:.2f} GiB and all images {needed.memory.data_bytes / GIB:.2f} GiB; "
        "lower batch_size, dataset.image_size or the size of the model"
    )


def understood(stored: dict[str, Any]) -> JobSpec:
    """The spec of the stored data. Raises SpecNotUnderstood rather than train something else than was asked for."""
    spec = JobSpec.from_dict(stored)
    if unknown := list(unknown_parts(stored, spec.to_dict())):
        raise SpecNotUnderstood(f"this worker does not know {', '.join(unknown)}; it is older than the API")
    return spec


class Line:
    """The pipe to the supervisor, from either side of the training: reports go out from any thread, wishes come in.

    Without a supervisor there is nobody to train for: exit. Likewise once its lease has run out: another worker may
    have the job by then, and a supervisor that is frozen cannot end us.
    """

    def __init__(self, connection: Connection, held_until: float) -> None:
        self._connection, self._held_until = connection, held_until
        self._sending = threading.Lock()
        self._reason: str | None = None
        self._steps = 0
        for target in (self._listen, self._tell):
            threading.Thread(target=target, daemon=True).start()

    def report(self, kind: str, content: dict[str, Any]) -> None:
        say(kind, content)
        with self._sending:
            self._connection.send((kind, content))

    def stop_reason(self) -> str | None:
        """Why to stop now, asked before every batch; so it counts the batches as well."""
        self._steps += 1
        return self._reason

    def _listen(self) -> None:
        try:
            while self._connection.poll(max(0.0, self._held_until - time.monotonic())):
                kind, content = self._connection.recv()
                if kind == "stop":
                    self._reason = content
                else:
                    self._held_until = content
        except (EOFError, OSError):
            pass
        os._exit(1)

    def _tell(self) -> None:
        told_at, told = time.monotonic(), 0
        while True:
            time.sleep(TELL_SECONDS)
            try:
                self.report("steps", {"steps": self._steps})
            except OSError:
                os._exit(1)
            if (passed := time.monotonic() - told_at) >= NEWS_SECONDS:
                if self._steps > told:
                    log.info("%d batches trained, %.1f a second now", self._steps, (self._steps - told) / passed)
                told_at, told = time.monotonic(), self._steps


def run(
    spec: JobSpec,
    scratch: Scratch,
    report: Report,
    should_stop: Callable[[], str | None],
    work: Work,
) -> Fitted:
    """Train after the spec and leave best_model.pth, report.json, split.json and checkpoints in the folder.

    Where the folder holds the last.pt of the same run already, it goes on from there.
    """
    started = time.time()
    report("phase", {"phase": "preparing"})
    device = pick_device(spec.device)
    log.info("%s on %s, data set %s", spec.model.arch, device, spec.dataset.id)
    prepared = prepare(spec, Places(Path(work.pack) if work.pack else None, scratch.folder, Path(work.library)))
    images, split = prepared.images, prepared.split
    batches = prepared.on(device, work.resident_bytes)
    model = build_model(spec, images.shape, len(images.classes)).to(device)
    model.to(memory_format=torch.channels_last)
    contents, told = _contents(spec, work), facts(prepared)
    report("facts", told)
    parts = Parts(
        train=batches(split.train),
        validation=batches(split.validation),
        clean=batches(prepared.clean) if spec.train_loss_clean else None,
        digest=prepared.digest,
    )
    numbers = count(1)

    def save(snapshot: Snapshot) -> None:
        save_tensors(scratch.last, snapshot)
        number = next(numbers)
        scratch.hold(number)
        best = snapshot["stopper"]["best_epoch"]
        report("checkpoint", {"number": number, "epochs": len(snapshot["history"]), "best_epoch": best})

    earlier = _earlier(scratch.last)
    if earlier:
        log.info("goes on after epoch %d", len(earlier["history"]))
    if earlier and earlier["best"] is not None:
        save_tensors(scratch.best_model, earlier["best"])
    report("phase", {"phase": "training"})
    watch = Watch(Facts.from_dict(told), lambda found: report("diagnosis", found), _former(earlier))

    def recorded(result: EpochResult) -> None:
        report("epoch", asdict(result))
        watch.add(Epoch.measured(asdict(result)))

    fitted = fit(
        model,
        parts,
        spec,
        on_epoch=recorded,
        on_best=lambda weights: save_tensors(scratch.best_model, weights),
        should_stop=should_stop,
        on_checkpoint=save,
        resume_from=earlier,
        checkpoint_seconds=work.checkpoint_seconds,
        joules=meter(device),
    )
    if fitted.stop_reason == RELEASED:
        return fitted
    report("phase", {"phase": "finalizing"})
    save_json(scratch.folder / SPLIT, split.to_dict())
    test = None
    onnx: dict[str, Any] | None = None
    if fitted.best_weights is not None:
        model.load_state_dict(fitted.best_weights)
        if len(split.test):
            tested = batches(split.test)
            test = evaluate(model, tested, scoring_batch(tested, spec.batch_size))
            if math.isfinite(test.loss):  # JSON has no other numbers
                report("facts", {"test": asdict(test)})
        save_safetensors(fitted.best_weights, scratch.folder / SAFETENSORS)
        if fitted.stop_reason != StopReason.CANCELLED:  # whoever cancels does not wait for it
            onnx = _exported(model, prepared, scratch.folder / ONNX)
    diagnosis = asdict(
        diagnose(watch.history, Case(spec, contents, watch.facts, fitted.stop_reason), watch.facts, fitted.stop_reason)
    )
    report("diagnosis", told_of(diagnosis))
    more = {"onnx": onnx, "facts": told, "diagnosis": diagnosis, "seconds": time.time() - started}
    save_json(scratch.folder / REPORT, summary(spec, prepared, model, fitted, test) | more)
    return fitted


def _former(earlier: Snapshot | None) -> list[Epoch]:
    return [Epoch.measured(result) for result in (earlier or {}).get("history", ())]


def _contents(spec: JobSpec, work: Work) -> Contents:
    return Contents.of_pack(Path(work.pack)) if work.pack else CONTENTS_OF[spec.dataset.id]


def _exported(model: nn.Module, prepared: Prepared, target: Path) -> dict[str, Any]:
    """What the report says of model.onnx; a network that cannot be written as one fails no job."""
    samples = prepared.images.take(prepared.split.validation[:CHECKED_IMAGES])
    try:
        return save_onnx(model, prepared.normalization, samples, target)
    except OSError:
        raise
    except Exception as error:
        log.exception("no model.onnx")
        return {"error": f"{type(error).__name__}: {error}".splitlines()[0][:300]}


def _earlier(last: Path) -> Snapshot | None:
    """The checkpoint to go on from. Raises CheckpointMismatch where this release cannot read it."""
    if not last.exists():
        return None
    try:
        return load_tensors(last)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        raise CheckpointMismatch(f"the checkpoint cannot be read: {error}") from error


def pick_device(wanted: str) -> torch.device:
    """auto takes a GPU when there is one. Raises DeviceUnavailable for a GPU that is not there."""
    if wanted == "cuda" and not torch.cuda.is_available():
        raise DeviceUnavailable("the spec asks for device cuda and this worker has no GPU; use device auto or cpu")
    return torch.device("cuda" if wanted != "cpu" and torch.cuda.is_available() else "cpu")


def _failure(stop_reason: str, origin: str, code: str, detail: str) -> dict[str, str]:
    return {"stop_reason": stop_reason, "origin": origin, "code": code, "detail": detail}


def _die_with_supervisor() -> None:
    """Linux kills us when the warm server dies; a thread ends us when the supervisor does."""
    die_with_parent()
    supervisor = multiprocessing.parent_process()
    if supervisor is not None:
        threading.Thread(target=_follow, args=(supervisor,), daemon=True).start()


def _follow(supervisor: BaseProcess) -> None:
    supervisor.join()
    os._exit(1)
