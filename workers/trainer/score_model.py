"""Scores the best model of another job on the test images of its spec. Nothing is trained."""

from dataclasses import replace
from pathlib import Path

from service.core.records.artifact_names import BEST_MODEL, PREDICTIONS
from service.core.records.job import Phase, StopReason
from workers.messages import Ended, FactsFound, PhaseEntered, Tested
from workers.trainer.best_outputs import predict_parts, test_score
from workers.trainer.inputs import load_inputs
from workers.trainer.training_process import TrainingProcess
from workers.training.checkpoint import load_tensors, write_file
from workers.training.models.code import without_weights


def score_model(process: TrainingProcess) -> Ended:
    """Publish the predictions of the model and report its score. Raises TrainingError and what torch raises.

    The folder `weights` of the arguments has the model; the other weights that its spec starts from are not loaded.
    """
    report, args = process.channel.report, process.args
    report(PhaseEntered(Phase.PREPARING))
    spec = replace(process.spec, model=without_weights(process.spec.model))
    inputs = load_inputs(replace(process, spec=spec, args=replace(args, weights=None)))
    report(FactsFound(inputs.facts, inputs.prepared.splits(process.spec), inputs.prepared.notes))
    report(PhaseEntered(Phase.FINALIZING))
    inputs.model.load_state_dict(load_tensors(Path(args.weights or "") / BEST_MODEL))
    predictions, test = predict_parts(inputs, None, process.spec, with_test=True)
    if score := test_score(test):
        report(Tested(score))
    write_file(process.scratch.folder / PREDICTIONS, predictions.save)
    return Ended(StopReason.MAX_EPOCHS, epochs=0, best_epoch=None, broken_at=None)
