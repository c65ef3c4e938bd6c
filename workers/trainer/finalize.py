"""What follows the training: the score on the test images, the final diagnosis, and the artifacts."""

import math
import time
from dataclasses import asdict

from service.core.diagnosis import RunContext, diagnose
from service.core.records.facts import TestScore
from workers.messages import Tested
from workers.trainer.artifacts import FinishedRun, write_artifacts
from workers.trainer.inputs import Inputs
from workers.trainer.live_diagnosis import LiveDiagnosis, diagnosed
from workers.trainer.training_process import TrainingProcess
from workers.training.evaluate import Score, evaluate, scoring_batch
from workers.training.loop import TrainingResult


def finalize(
    process: TrainingProcess, inputs: Inputs, fitted: TrainingResult, live: LiveDiagnosis, started: float
) -> None:
    """Score, diagnose and write the artifacts of a run that `started` at that unix time.

    The model gets its best weights, where there are any.
    """
    if fitted.best_weights is not None:
        inputs.model.load_state_dict(fitted.best_weights)
    test = _test(process, inputs, fitted)
    case = RunContext(process.spec, process.contents, live.facts, fitted.stop_reason)
    diagnosis = diagnose(live.history, case, live.facts, fitted.stop_reason)
    process.channel.report(diagnosed(diagnosis))
    run = FinishedRun(process.spec, inputs, fitted, test, diagnosis, time.time() - started)
    write_artifacts(run, process.scratch.folder)


def _test(process: TrainingProcess, inputs: Inputs, fitted: TrainingResult) -> Score | None:
    """The score of the best model on the test images; None where there is no such model or no such image."""
    indices = inputs.prepared.split.test
    if fitted.best_weights is None or not len(indices):
        return None
    batches = inputs.batches(indices)
    score = evaluate(inputs.model, batches, scoring_batch(batches, process.spec.batch_size))
    if math.isfinite(score.loss):  # JSON has no other numbers
        process.channel.report(Tested(TestScore(**asdict(score))))
    return score
