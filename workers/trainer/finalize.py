"""What follows the training: the outputs of the best model, the final diagnosis, and the artifacts."""

import time
from dataclasses import replace
from pathlib import Path

from service.core.diagnosis import RunContext, diagnose
from service.core.evaluation.predictions import VALIDATION
from service.core.records.facts import Average
from service.core.records.job import StopReason
from workers.messages import Tested
from workers.trainer.artifacts import FinishedRun, write_artifacts
from workers.trainer.best_outputs import calibration_of, part_scorer, predict_parts, test_score
from workers.trainer.inputs import Inputs
from workers.trainer.live_diagnosis import LiveDiagnosis, diagnosed
from workers.trainer.rare_classes import rare_classes
from workers.trainer.training_process import TrainingProcess
from workers.training.average_best import average_best
from workers.training.checkpoint import save_tensors
from workers.training.loop import TrainingResult


def finalize(
    process: TrainingProcess, inputs: Inputs, fitted: TrainingResult, live: LiveDiagnosis, started: float
) -> None:
    """Score, diagnose and write the artifacts of a run that `started` at that unix time.

    The model gets its best weights, where there are any.
    """
    predictions, test, calibration, rare, average = None, None, None, None, None
    if fitted.candidates and fitted.stop_reason != StopReason.CANCELLED:  # the owner does not wait for more passes
        fitted, average = _averaged(process, inputs, fitted)
    if fitted.best_weights is not None:
        inputs.model.load_state_dict(fitted.best_weights)
        predictions, test = predict_parts(
            inputs, fitted.best_logits, process.spec, with_test=not process.args.holds_back_test
        )
        calibration = calibration_of(predictions)
        images, split = inputs.prepared.images, inputs.prepared.split
        rare = rare_classes(predictions.of(VALIDATION), images.labels[split.train].numpy(), images.classes)
    score = test_score(test)
    if score or calibration or rare or average:
        process.channel.report(Tested(score, calibration, rare, average))
    facts = replace(live.facts, calibration=calibration, rare=rare, average=average)
    case = RunContext(process.spec, process.contents, facts, fitted.stop_reason)
    diagnosis = diagnose(live.history, case, facts, fitted.stop_reason)
    process.channel.report(diagnosed(diagnosis))
    seconds = time.time() - started
    graphs = Path(process.args.graphs)
    run = FinishedRun(process.spec, inputs, fitted, predictions, test, calibration, average, diagnosis, seconds, graphs)
    write_artifacts(run, process.scratch.folder)


def _averaged(process: TrainingProcess, inputs: Inputs, fitted: TrainingResult) -> tuple[TrainingResult, Average]:
    """The result with the average of the best epochs where it scores better; best_model.pth then has it."""
    scorer = part_scorer(inputs, inputs.prepared.split.validation, process.spec)
    kept, average = average_best(inputs.model, fitted, process.spec, scorer, len(inputs.prepared.images.classes))
    if average.is_kept and kept.best_weights is not None:
        save_tensors(process.scratch.best_model, kept.best_weights)
    return kept, average
