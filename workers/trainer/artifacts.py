"""The artifacts of a run: a writer for each, in the order in which they are written.

A new artifact is a writer here with its row in WRITERS, and its name in service/core/records/artifact_names.py. The
loop writes best_model.pth itself, after each improvement.
"""

import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from service.core.diagnosis import Diagnosis
from service.core.evaluation.predictions import Predictions
from service.core.records.artifact_names import LABELS, MODEL_PY, ONNX, PREDICTIONS, REPORT, SAFETENSORS, SPLIT
from service.core.records.facts import Average, CalibrationFact
from service.core.records.job import StopReason
from service.core.spec import JobSpec
from workers.trainer.inputs import Inputs
from workers.trainer.model_file import model_file
from workers.training.checkpoint import save_json, write_file
from workers.training.evaluate import Score
from workers.training.export import IMAGES, LOGITS, PROBABILITIES, save_onnx, save_safetensors
from workers.training.graphs import graph_name
from workers.training.loop import TrainingResult
from workers.training.report import summary

CHECKED_IMAGES = 64  # on which model.onnx must agree with torch
MOST_CHARACTERS = 300  # of an error in report.json

COLORS = {1: "gray", 3: "RGB"}  # by the number of channels

log = logging.getLogger(__name__)


@dataclass
class FinishedRun:
    """A run that has ended, its model with the best weights where there are any.

    `predictions` are the outputs of the best model, None without one; `test` is the score on the test images,
    `calibration` the temperature, `average` what came of averaging the best epochs. `seconds` is the duration of this
    process's part. `graphs` is the folder of the ONNX graphs of this worker. The writer of model.onnx sets `onnx`,
    which report.json contains.
    """

    spec: JobSpec
    inputs: Inputs
    fitted: TrainingResult
    predictions: Predictions | None
    test: Score | None
    calibration: CalibrationFact | None
    average: Average | None
    diagnosis: Diagnosis
    seconds: float
    graphs: Path
    onnx: dict[str, Any] | None = None

    @property
    def temperature(self) -> float:
        """It divides the logits before softmax makes them probabilities; 1 where it is unknown."""
        return self.calibration.temperature if self.calibration else 1.0


def write_split(run: FinishedRun, target: Path) -> None:
    """Which images are in which part of the data set."""
    save_json(target, run.inputs.prepared.split.to_dict())


def write_safetensors(run: FinishedRun, target: Path) -> None:
    """The best weights; nothing where no epoch was finite."""
    if run.fitted.best_weights is not None:
        save_safetensors(run.fitted.best_weights, target)


def write_predictions(run: FinishedRun, target: Path) -> None:
    """The logits of the validation and test images; nothing where no epoch was finite."""
    if run.predictions is not None:
        write_file(target, run.predictions.save)


def write_onnx(run: FinishedRun, target: Path) -> None:
    """The best model as a graph. A network that cannot be written as one fails no job: report.json says why."""
    if run.fitted.best_weights is None or run.fitted.stop_reason == StopReason.CANCELLED:
        return  # the owner of a cancelled job does not wait for the export
    prepared = run.inputs.prepared
    samples = prepared.images.take(prepared.split.validation[:CHECKED_IMAGES])
    classes = prepared.images.classes
    kept = run.graphs / graph_name(run.spec, prepared.images.shape, classes, len(samples))
    try:
        given = (run.inputs.model, prepared.normalization, samples, target, run.temperature, kept, classes)
        run.onnx = save_onnx(*given, views=run.spec.test_time_augmentation)
    except OSError:
        raise
    except Exception as error:
        log.exception("model.onnx cannot be written")
        run.onnx = {"error": f"{type(error).__name__}: {error}".splitlines()[0][:MOST_CHARACTERS]}


def write_labels(run: FinishedRun, target: Path) -> None:
    """What it takes to use the best model; nothing where no epoch was finite.

    `classes` are the names in the order of the logits. `preprocessing` lists the steps in their order: turn the picture
    upright by its EXIF orientation, divide 16-bit values by `sixteen_bit_divisor` (at most 255), put a transparent
    picture on the `background` (white, black or #rrggbb), make it gray (as Pillow's mode L: ITU-R 601-2 luma) or RGB,
    `resize` it to width and height in pixels (in the way `mode`, see the option dataset.resize), map its values from
    0..255 to `range`. `normalization` is part of model.onnx; users of the weights alone apply its mean and std by
    channel themselves. So is the `test_time_augmentation`: they average the logits over its views. `input` is float32
    [N, C, H, W] and `output` float32 [N, classes], null for the free N. The second output of the
    graph, `probabilities`, is the softmax of the logits divided by the `temperature`.
    """
    if run.fitted.best_weights is not None:
        save_json(target, _labels(run))


def _labels(run: FinishedRun) -> dict[str, Any]:
    prepared = run.inputs.prepared
    classes, (channels, height, width) = prepared.images.classes, prepared.images.shape
    normalization = prepared.normalization
    return {
        "classes": list(classes),
        "preprocessing": {
            "orientation": "exif",
            **prepared.images.preprocessing.to_dict(),
            "color": COLORS[channels],
            "resize": {
                "mode": prepared.images.resize,
                "width": width,
                "height": height,
                "method": "bilinear",
                "antialias": True,
            },
            "range": [0.0, 1.0],
        },
        "normalization": {
            "is_in_graph": True,
            "mean": normalization.mean.tolist(),
            "std": normalization.std.tolist(),
        },
        "test_time_augmentation": {"is_in_graph": True, "name": run.spec.test_time_augmentation},
        "input": {"name": IMAGES, "type": "float32", "shape": [None, channels, height, width]},
        "output": {"name": LOGITS, "type": "float32", "shape": [None, len(classes)], "activation": "softmax"},
        "probabilities": {"name": PROBABILITIES, "temperature": run.temperature},
    }


def write_model_file(run: FinishedRun, target: Path) -> None:
    """A program that rebuilds the network without Rightfit; nothing where no epoch was finite."""
    if run.fitted.best_weights is not None:
        text = model_file(run.spec, run.inputs.prepared.images.shape, _labels(run))
        write_file(target, lambda file: file.write(text.encode()))


def write_report(run: FinishedRun, target: Path) -> None:
    """What it takes to understand the run, to repeat it and to use its model."""
    content = summary(run.spec, run.inputs.prepared, run.inputs.model, run.fitted, run.test, run.average)
    more = {
        "onnx": run.onnx,
        "start": asdict(run.inputs.start) if run.inputs.start else None,
        "facts": run.inputs.facts.to_dict(),
        "average": asdict(run.average) if run.average else None,
        "calibration": asdict(run.calibration) if run.calibration else None,
        "diagnosis": asdict(run.diagnosis),
        "seconds": run.seconds,
    }
    save_json(target, content | more)


WRITERS: tuple[tuple[str, Callable[[FinishedRun, Path], None]], ...] = (
    (SPLIT, write_split),
    (SAFETENSORS, write_safetensors),
    (PREDICTIONS, write_predictions),
    (ONNX, write_onnx),
    (LABELS, write_labels),
    (MODEL_PY, write_model_file),
    (REPORT, write_report),  # after model.onnx, on which it reports
)


def write_artifacts(run: FinishedRun, folder: Path) -> None:
    """Write the artifacts in order. Raises OSError."""
    for name, write in WRITERS:
        write(run, folder / name)
