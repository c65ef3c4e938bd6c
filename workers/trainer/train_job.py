"""Trains one job in this process: the spec becomes data, a model and a run, which leaves files and sends reports."""

import logging
import pickle
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from itertools import count
from pathlib import Path

from service.core.errors import CheckpointMismatch
from service.core.records.epoch import Epoch
from service.core.records.job import Phase
from workers.messages import CheckpointSaved, EpochTrained, FactsFound, PhaseEntered
from workers.scratch import Scratch
from workers.trainer.builtin_pack import write_pack
from workers.trainer.energy import joule_meter
from workers.trainer.finalize import finalize
from workers.trainer.inputs import load_inputs
from workers.trainer.live_diagnosis import LiveDiagnosis
from workers.trainer.training_process import TrainingProcess
from workers.trainer_args import StopRequest
from workers.training.checkpoint import load_tensors, save_tensors
from workers.training.loop import TrainingResult, fit
from workers.training.state import EpochResult, Snapshot, history_of

log = logging.getLogger(__name__)


def train_job(process: TrainingProcess) -> TrainingResult:
    """Train as the spec says, and leave the artifacts and checkpoints in the scratch folder.

    Where the folder holds the last.pt of the same run, the run continues from there. Of a group, only the leading
    process reports and writes. Raises TrainingError and what torch raises.
    """
    started = time.time()
    report, scratch = process.channel.report, process.scratch
    report(PhaseEntered(Phase.PREPARING))
    earlier = _load_checkpoint(scratch.last)
    inputs = load_inputs(process, earlier["data"] if earlier else None)
    report(FactsFound(inputs.facts, inputs.prepared.splits(process.spec), inputs.prepared.notes))
    if process.group.leads:
        _restore_best_model(scratch, earlier)
        if process.args.writes_pack:
            write_pack(inputs.prepared.images, scratch.pack)
    report(PhaseEntered(Phase.TRAINING))
    diagnosis = LiveDiagnosis(inputs.facts, report, _epochs_of(earlier))
    fitted = fit(
        inputs.model,
        inputs.training_data(with_clean=process.spec.train_loss_clean),
        process.spec,
        on_epoch=_epoch_recorder(report, diagnosis),
        should_stop=_stop_requests(process, diagnosis.history),
        on_checkpoint=_checkpoint_writer(process, earlier),
        resume_from=earlier,
        checkpoint_seconds=process.args.checkpoint_seconds,
        joules=joule_meter(process.device),
        group=process.group,
        on_position=process.channel.set_position,
    )
    if process.group.leads and fitted.stop_reason != StopRequest.RELEASED:
        report(PhaseEntered(Phase.FINALIZING))
        finalize(process, inputs, fitted, diagnosis, started)
    return fitted


def _epoch_recorder(report: Callable[[EpochTrained], None], diagnosis: LiveDiagnosis) -> Callable[[EpochResult], None]:
    """A function that reports an epoch and adds it to the diagnosis."""

    def record(result: EpochResult) -> None:
        epoch = Epoch.measured(asdict(result))
        report(EpochTrained(epoch))
        diagnosis.add(epoch)

    return record


def _stop_requests(process: TrainingProcess, history: Sequence[Epoch]) -> Callable[[], StopRequest | None]:
    """A function that says before each batch why to stop: the supervisor asks for it, or the epochs in `history` are
    those after which the job pauses.
    """
    pause_after = process.args.pause_after

    def stop_request() -> StopRequest | None:
        is_at_pause = pause_after is not None and len(history) >= pause_after
        return process.channel.stop_request() or (StopRequest.RELEASED if is_at_pause else None)

    return stop_request


def _checkpoint_writer(process: TrainingProcess, earlier: Snapshot | None) -> Callable[[Snapshot], None]:
    """A function that writes a snapshot and its best model to the scratch folder, and reports it.

    Numbers count from 1 in each process. The best model of the `earlier` snapshot is in the folder.
    """
    scratch, numbers = process.scratch, count(1)
    written = earlier["stopper"]["best_epoch"] if earlier else None

    def write(snapshot: Snapshot) -> None:
        nonlocal written
        save_tensors(scratch.last, snapshot)
        best_epoch = snapshot["stopper"]["best_epoch"]
        if best_epoch != written:
            save_tensors(scratch.best_model, snapshot["best"])
            written = best_epoch
        number = next(numbers)
        scratch.hold(number)
        process.channel.report(CheckpointSaved(number, len(snapshot["history"]), best_epoch))

    return write


def _load_checkpoint(last: Path) -> Snapshot | None:
    """The checkpoint to continue from. Raises CheckpointMismatch where this release cannot read it."""
    if not last.exists():
        return None
    try:
        snapshot = load_tensors(last)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        raise CheckpointMismatch(f"the checkpoint cannot be read: {error}") from error
    log.info("continues after epoch %d", len(snapshot["history"]))
    return snapshot


def _restore_best_model(scratch: Scratch, snapshot: Snapshot | None) -> None:
    """Write the best weights of the snapshot: the run may end without better ones."""
    if snapshot and snapshot["best"] is not None:
        save_tensors(scratch.best_model, snapshot["best"])


def _epochs_of(snapshot: Snapshot | None) -> list[Epoch]:
    return [Epoch.measured(asdict(result)) for result in history_of(snapshot)] if snapshot else []
