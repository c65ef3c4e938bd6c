"""One attempt at a job, in a process that trains: a spec becomes data, a model and a run; what comes of it are files
and reports.
"""

import logging
import math
import pickle
import time
from collections.abc import Callable
from dataclasses import asdict
from itertools import count
from pathlib import Path
from typing import Any

import torch
from torch import nn

from service.core.diagnosis import Case, diagnose
from service.core.errors import CheckpointMismatch, DeviceUnavailable, SpecNotUnderstood
from service.core.records.artifact_names import ONNX, REPORT, SAFETENSORS, SPLIT
from service.core.records.builtin_datasets import CONTENTS_OF
from service.core.records.dataset import Contents
from service.core.records.epoch import Epoch
from service.core.records.facts import Facts
from service.core.records.job import StopReason
from service.core.spec import JobSpec, unknown_parts
from workers.scratch import Scratch
from workers.supervisor.forkserver import RELEASED, TrainerArgs
from workers.trainer.channel import Report
from workers.trainer.energy import meter
from workers.trainer.live_diagnosis import LiveDiagnosis, told_of
from workers.training.checkpoint import load_tensors, save_json, save_tensors
from workers.training.data import DataPaths
from workers.training.data.prepare import Prepared, prepare
from workers.training.evaluate import evaluate, scoring_batch
from workers.training.export import save_onnx, save_safetensors
from workers.training.facts import facts
from workers.training.group import SINGLE_PROCESS, Group
from workers.training.loop import TrainingData, TrainingResult, fit
from workers.training.models import build_model
from workers.training.report import summary
from workers.training.state import EpochResult, Snapshot

CHECKED_IMAGES = 64  # on which model.onnx must agree with torch

log = logging.getLogger(__name__)


def understood(stored: dict[str, Any]) -> JobSpec:
    """The spec of the stored data. Raises SpecNotUnderstood rather than train something else than was asked for."""
    spec = JobSpec.from_dict(stored)
    if unknown := list(unknown_parts(stored, spec.to_dict())):
        raise SpecNotUnderstood(f"this worker does not know {', '.join(unknown)}; it is older than the API")
    return spec


def pick_device(spec: JobSpec, rank: int = 0) -> torch.device:
    """auto takes a GPU when there is one. Raises DeviceUnavailable where there are fewer than the spec asks for."""
    found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if spec.device == "cpu" or (spec.device == "auto" and not found):
        return torch.device("cpu")
    if found < spec.gpus:
        has = f"{found} GPUs" if found else "no GPU"
        raise DeviceUnavailable(
            f"the spec asks for {spec.gpus} on device {spec.device} and this worker has {has}; use device cpu, or fewer"
        )
    return torch.device("cuda", rank)


def run(
    spec: JobSpec,
    scratch: Scratch,
    report: Report,
    should_stop: Callable[[], str | None],
    work: TrainerArgs,
    device: torch.device,
    group: Group = SINGLE_PROCESS,
) -> TrainingResult:
    """Train after the spec and leave best_model.pth, report.json, split.json and checkpoints in the folder.

    Where the folder holds the last.pt of the same run already, it goes on from there. Of a group only the first process
    reports, and leaves anything.
    """
    started = time.time()
    report("phase", {"phase": "preparing"})
    log.info("%s on %s, data set %s", spec.model.arch, device, spec.dataset.id)
    places = DataPaths(Path(work.pack) if work.pack else None, scratch.folder, Path(work.library))
    prepared = group.in_turn(lambda: prepare(spec, places))
    images, split = prepared.images, prepared.split
    batches = prepared.on(device, work.resident_bytes, group.size)
    model = group.in_turn(lambda: build_model(spec, images.shape, len(images.classes))).to(device)
    model.to(memory_format=torch.channels_last)
    contents, told = contents_of(spec, work), facts(prepared)
    report("facts", told)
    parts = TrainingData(
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
    if earlier and earlier["best"] is not None and group.leads:
        save_tensors(scratch.best_model, earlier["best"])
    report("phase", {"phase": "training"})
    watch = LiveDiagnosis(Facts.from_dict(told), lambda found: report("diagnosis", found), _former(earlier))

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
        group=group,
    )
    if fitted.stop_reason == RELEASED or not group.leads:
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


def contents_of(spec: JobSpec, work: TrainerArgs) -> Contents:
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
