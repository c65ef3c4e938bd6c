"""labels.json holds everything that a user of model.onnx needs."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray
from PIL import Image

from service.core.settings import Settings
from service.inference import Picture, Predictor
from tests.pictures import KINDS, encoded, stripes, zipped
from tests.workers.bench import Bench

METHODS = {"bilinear": Image.Resampling.BILINEAR}
MODES = {"gray": "L", "RGB": "RGB"}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, attempts=1)


def colored(kind: str, number: int) -> NDArray[np.uint8]:
    """uint8 [20, 26, 3]: stripes in a color of their own."""
    gray = np.pad(stripes(kind, number, 20), ((0, 0), (3, 3)), mode="edge")
    return np.stack([gray, 255 - gray, gray // 2], axis=2)


def gray(kind: str, number: int) -> NDArray[np.uint8]:
    return stripes(kind, number, 20)


def probabilities(labels: dict[str, Any], graph: Path, pixels: NDArray[np.uint8]) -> dict[str, float]:
    """By class, from nothing but labels.json, the graph and the picture."""
    preprocessing = labels["preprocessing"]
    resize, (low, high) = preprocessing["resize"], preprocessing["range"]
    picture = Image.fromarray(pixels).convert(MODES[preprocessing["color"]])
    assert resize["antialias"], "as Pillow always does"
    sized = np.asarray(picture.resize((resize["width"], resize["height"]), METHODS[resize["method"]]))
    scaled = sized.astype(labels["input"]["type"]) / 255 * (high - low) + low
    values = scaled.reshape(resize["height"], resize["width"], -1)
    if not labels["normalization"]["is_in_graph"]:
        values = (values - labels["normalization"]["mean"]) / labels["normalization"]["std"]
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    images = values.transpose(2, 0, 1)[None]
    assert list(images.shape[1:]) == labels["input"]["shape"][1:]
    (logits,) = session.run([labels["output"]["name"]], {labels["input"]["name"]: images.astype(np.float32)})
    assert list(logits.shape[1:]) == labels["output"]["shape"][1:]
    assert labels["output"]["activation"] == "softmax"
    exponentials = np.exp(logits[0] - logits.max())
    return dict(zip(labels["classes"], (exponentials / exponentials.sum()).tolist(), strict=True))


@pytest.mark.parametrize("draw", [colored, gray])
def test_labels_and_graph_predict_what_the_service_does(bench: Bench, tmp_path: Path, draw: Any) -> None:
    archive = {f"{kind}/{n:03}.png": encoded(draw(kind, n)) for kind in KINDS for n in range(10)}
    (tmp_path / "sent").write_bytes(zipped(archive))
    bench.read("ds_1", tmp_path / "sent")
    job = bench.run(dataset={"id": "ds_1", "image_size": 12}, model={"channels": [4], "hidden": [8]}, epochs=2)
    assert job.status == "succeeded", job.error
    artifacts = {artifact.name: artifact for artifact in bench.store.queries.artifacts("t", job.id)}
    for name in ("labels.json", "model.onnx"):
        bench.storage.get(artifacts[name], tmp_path / name)
    labels = json.loads((tmp_path / "labels.json").read_text())
    pictures = [Picture(kind, encoded(draw(kind, 99))) for kind in KINDS]
    predictions = Predictor(bench.storage).predict(artifacts["model.onnx"], artifacts["report.json"], pictures)
    for kind, prediction in zip(KINDS, predictions, strict=True):
        own = probabilities(labels, tmp_path / "model.onnx", draw(kind, 99))
        assert list(own) == sorted(KINDS)
        assert own == pytest.approx(prediction.probabilities, abs=1e-5)
