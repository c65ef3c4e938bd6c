"""The trainer process: a spec becomes data, a model and a run; what comes of it are files and reports.

It knows no database and no queue. Reports go to the supervisor over a pipe as (kind, data) pairs; a stop reason that
comes back over it ends the run at the next batch. It dies with its supervisor.
"""

import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch

from service.core.errors import DeviceUnavailable, Invalid, RightfitError, SpecNotUnderstood, TrainingError
from service.core.spec import JobSpec, unknown_parts
from workers.training.checkpoint import load_tensors, save_json, save_tensors
from workers.training.data.prepare import prepare
from workers.training.evaluate import evaluate, scoring_batch
from workers.training.loop import Fitted, Parts, fit
from workers.training.models import build_model
from workers.training.process import die_with_parent, tune
from workers.training.report import summary
from workers.warm import LAST, Work

BEST_MODEL, REPORT, SPLIT = "best_model.pth", "report.json", "split.json"

Report = Callable[[str, dict[str, Any]], None]

log = logging.getLogger(__name__)


def main(work: Work, connection: Connection) -> None:
    """Run one job and report how it ended: `ended` with a stop reason, or `failed` with whose fault it was."""
    _die_with_supervisor()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    stop = StopRequest(connection)

    def report(kind: str, content: dict[str, Any]) -> None:
        connection.send((kind, content))

    try:
        tune(work.threads)
        spec = understood(work.spec)
        fitted = run(spec, Path(work.folder), report, stop.reason, work.resident_bytes)
        report("ended", {"stop_reason": fitted.stop_reason, "epochs": fitted.epochs, "best_epoch": fitted.best_epoch})
    except TrainingError as error:
        report("failed", _failure(error.stop_reason, error.origin, error.code, str(error)))
    except Invalid as error:
        report("failed", _failure("internal_error", "user", error.code, str(error)))
    except (torch.OutOfMemoryError, MemoryError) as error:
        report("failed", _failure("out_of_memory", "infrastructure", "out_of_memory", _first_line(error)))
    except Exception as error:
        log.exception("job %s attempt %d failed", work.job_id, work.attempt)
        if "can't allocate memory" in str(error):  # how torch's CPU allocator says it
            report("failed", _failure("out_of_memory", "infrastructure", "out_of_memory", _first_line(error)))
        else:
            detail = f"{type(error).__name__}: {_first_line(error)}"
            report("failed", _failure("internal_error", "infrastructure", RightfitError.code, detail))


def understood(stored: dict[str, Any]) -> JobSpec:
    """The spec of the stored data. Raises SpecNotUnderstood rather than train something else than was asked for."""
    spec = JobSpec.from_dict(stored)
    if unknown := list(unknown_parts(stored, spec.to_dict())):
        raise SpecNotUnderstood(f"this worker does not know {', '.join(unknown)}; it is older than the API")
    return spec


class StopRequest:
    """Listens for a stop reason from the supervisor. Without a supervisor there is nobody to train for: exit."""

    def __init__(self, connection: Connection) -> None:
        self._reason: str | None = None
        self._connection = connection
        threading.Thread(target=self._listen, daemon=True).start()

    def reason(self) -> str | None:
        return self._reason

    def _listen(self) -> None:
        try:
            self._reason = self._connection.recv()
            self._connection.recv()
        except (EOFError, OSError):
            os._exit(1)


def run(
    spec: JobSpec,
    folder: Path,
    report: Report,
    should_stop: Callable[[], str | None],
    resident_bytes: int | None = None,
) -> Fitted:
    """Train after the spec and leave best_model.pth, report.json, split.json and last.pt in the folder.

    Where the folder holds the last.pt of the same run already, it goes on from there.
    """
    started = time.time()
    report("phase", {"phase": "preparing"})
    device = pick_device(spec.device)
    prepared = prepare(spec)
    images, split = prepared.images, prepared.split
    batches = prepared.on(device, resident_bytes)
    model = build_model(spec, images.shape, len(images.classes)).to(device)
    model.to(memory_format=torch.channels_last)
    parts = Parts(
        train=batches(split.train),
        validation=batches(split.validation),
        clean=batches(prepared.clean) if spec.train_loss_clean else None,
        digest=prepared.digest,
    )
    last = folder / LAST
    report("phase", {"phase": "training"})
    fitted = fit(
        model,
        parts,
        spec,
        on_epoch=lambda result: report("epoch", asdict(result)),
        on_best=lambda weights: save_tensors(folder / BEST_MODEL, weights),
        should_stop=should_stop,
        on_checkpoint=lambda snapshot: save_tensors(last, snapshot),
        resume_from=load_tensors(last) if last.exists() else None,
    )
    report("phase", {"phase": "finalizing"})
    if fitted.best_weights is not None and not (folder / BEST_MODEL).exists():  # best before it was resumed here
        save_tensors(folder / BEST_MODEL, fitted.best_weights)
    save_json(folder / SPLIT, split.to_dict())
    test = None
    if fitted.best_weights is not None and len(split.test):
        model.load_state_dict(fitted.best_weights)
        tested = batches(split.test)
        test = evaluate(model, tested, scoring_batch(tested, spec.batch_size))
    save_json(folder / REPORT, summary(spec, prepared, model, fitted, test) | {"seconds": time.time() - started})
    return fitted


def pick_device(wanted: str) -> torch.device:
    """auto takes a GPU when there is one. Raises DeviceUnavailable for a GPU that is not there."""
    if wanted == "cuda" and not torch.cuda.is_available():
        raise DeviceUnavailable("the spec asks for device cuda and this worker has no GPU; use device auto or cpu")
    return torch.device("cuda" if wanted != "cpu" and torch.cuda.is_available() else "cpu")


def _failure(stop_reason: str, origin: str, code: str, detail: str) -> dict[str, str]:
    return {"stop_reason": stop_reason, "origin": origin, "code": code, "detail": detail}


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:500]


def _die_with_supervisor() -> None:
    """Linux kills us when the warm server dies; a thread ends us when the supervisor does."""
    die_with_parent()
    supervisor = multiprocessing.parent_process()
    if supervisor is not None:
        threading.Thread(target=_follow, args=(supervisor,), daemon=True).start()


def _follow(supervisor: BaseProcess) -> None:
    supervisor.join()
    os._exit(1)
