"""Records what a trainer reports."""

from dataclasses import asdict
from typing import Any, assert_never

from service.core.records.epoch import Epoch
from service.core.records.job import Phase
from workers.messages import (
    CheckpointSaved,
    Diagnosed,
    Ended,
    EpochTrained,
    FactsFound,
    Failed,
    PhaseEntered,
    Released,
    StepsTrained,
    Tested,
)
from workers.supervisor.attempt import Attempt
from workers.supervisor.checkpoint_uploads import Uploads
from workers.supervisor.trainer_handle import TrainerHandle


def record_reports(attempt: Attempt, trainer: TrainerHandle, uploads: Uploads[CheckpointSaved]) -> None:
    """Record the reports that have arrived, in order; successive epochs in one transaction. Raises LeaseLost."""
    epochs: list[Epoch] = []
    for report in trainer.receive():
        if isinstance(report, EpochTrained):
            epochs.append(report.epoch)
            continue
        if isinstance(report, StepsTrained):
            _note_steps(report, attempt, trainer)
            continue
        _record_epochs(attempt, epochs)
        epochs = []
        match report:
            case PhaseEntered(phase):
                _enter(phase, attempt, trainer)
            case CheckpointSaved():
                uploads.offer(report)
            case FactsFound(facts, splits, warnings):
                attempt.write(attempt.store.record_facts, facts.to_dict(), splits, warnings)
            case Tested():
                attempt.write(attempt.store.record_facts, _facts(report))
            case Diagnosed():
                attempt.write(attempt.store.record_diagnosis, asdict(report))
            case Ended() | Released() | Failed():
                trainer.set_ending(report)
            case _:
                assert_never(report)
    _record_epochs(attempt, epochs)


def _note_steps(report: StepsTrained, attempt: Attempt, trainer: TrainerHandle) -> None:
    trainer.set_steps(report.steps)
    attempt.observer.stepped(report.steps)
    if report.position:
        attempt.publish_position(attempt.lease.job_id, report.position._asdict())


def _enter(phase: Phase, attempt: Attempt, trainer: TrainerHandle) -> None:
    trainer.set_phase(phase)
    if phase is Phase.FINALIZING:
        attempt.on_trained()
    attempt.observer.enter(phase)
    attempt.write(attempt.store.set_phase, phase)


def _facts(report: Tested) -> dict[str, Any]:
    """The members of the job's facts that a report makes known."""
    facts = {"test": report.score, "calibration": report.calibration, "rare": report.rare, "average": report.average}
    return {name: asdict(fact) for name, fact in facts.items() if fact is not None}


def _record_epochs(attempt: Attempt, epochs: list[Epoch]) -> None:
    if epochs:
        attempt.write(attempt.store.append, epochs)
        attempt.observer.completed(epochs)
