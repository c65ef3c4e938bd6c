"""What follows the training: the outputs of the best model, the final diagnosis, and the artifacts."""

import math
import time
from collections.abc import Callable
from dataclasses import asdict, replace

from service.core.diagnosis import RunContext, diagnose
from service.core.records.facts import Facts, TestScore
from workers.messages import Tested
from workers.trainer.artifacts import FinishedRun, write_artifacts
from workers.trainer.best_outputs import calibration_of, predict_parts
from workers.trainer.inputs import Inputs
from workers.trainer.live_diagnosis import LiveDiagnosis, diagnosed
from workers.trainer.training_process import TrainingProcess
from workers.training.loop import TrainingResult


def finalize(
    process: TrainingProcess, inputs: Inputs, fitted: TrainingResult, live: LiveDiagnosis, started: float
) -> None:
    """Score, diagnose and write the artifacts of a run that `started` at that unix time.

    The model gets its best weights, where there are any.
    """
    run = FinishedRun(process.spec, inputs, fitted)
    if fitted.best_weights is not None:
        inputs.model.load_state_dict(fitted.best_weights)
        run.predictions, run.test = predict_parts(inputs, fitted, process.spec.batch_size)
        run.calibration = calibration_of(run.predictions)
    facts = _report_facts(run, live.facts, process.channel.report)
    case = RunContext(process.spec, process.contents, facts, fitted.stop_reason)
    run.diagnosis = diagnose(live.history, case, facts, fitted.stop_reason)
    process.channel.report(diagnosed(run.diagnosis))
    run.seconds = time.time() - started
    write_artifacts(run, process.scratch.folder)


def _report_facts(run: FinishedRun, facts: Facts, report: Callable[[Tested], None]) -> Facts:
    """Report the test score and the temperature. Returns the facts with the temperature."""
    is_tested = run.test is not None and math.isfinite(run.test.loss)  # JSON has no other numbers
    score = TestScore(**asdict(run.test)) if run.test and is_tested else None
    if score or run.calibration:
        report(Tested(score, run.calibration))
    return replace(facts, calibration=run.calibration)
