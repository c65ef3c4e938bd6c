"""What follows the training: the outputs of the best model, the final diagnosis, and the artifacts."""

import math
import time
from dataclasses import asdict, replace
from pathlib import Path

from service.core.diagnosis import RunContext, diagnose
from service.core.evaluation.predictions import VALIDATION
from service.core.records.facts import TestScore
from workers.messages import Tested
from workers.trainer.artifacts import FinishedRun, write_artifacts
from workers.trainer.best_outputs import calibration_of, predict_parts
from workers.trainer.inputs import Inputs
from workers.trainer.live_diagnosis import LiveDiagnosis, diagnosed
from workers.trainer.rare_classes import rare_classes
from workers.trainer.training_process import TrainingProcess
from workers.training.loop import TrainingResult


def finalize(
    process: TrainingProcess, inputs: Inputs, fitted: TrainingResult, live: LiveDiagnosis, started: float
) -> None:
    """Score, diagnose and write the artifacts of a run that `started` at that unix time.

    The model gets its best weights, where there are any.
    """
    predictions, test, calibration, rare = None, None, None, None
    if fitted.best_weights is not None:
        inputs.model.load_state_dict(fitted.best_weights)
        predictions, test = predict_parts(inputs, fitted, process.spec.batch_size)
        calibration = calibration_of(predictions)
        images, split = inputs.prepared.images, inputs.prepared.split
        rare = rare_classes(predictions.of(VALIDATION), images.labels[split.train].numpy(), images.classes)
    is_tested = test is not None and math.isfinite(test.loss)  # JSON has no other numbers
    score = TestScore(**asdict(test)) if test and is_tested else None
    if score or calibration or rare:
        process.channel.report(Tested(score, calibration, rare))
    facts = replace(live.facts, calibration=calibration, rare=rare)
    case = RunContext(process.spec, process.contents, facts, fitted.stop_reason)
    diagnosis = diagnose(live.history, case, facts, fitted.stop_reason)
    process.channel.report(diagnosed(diagnosis))
    seconds = time.time() - started
    graphs = Path(process.args.graphs)
    run = FinishedRun(process.spec, inputs, fitted, predictions, test, calibration, diagnosis, seconds, graphs)
    write_artifacts(run, process.scratch.folder)
