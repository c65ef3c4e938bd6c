"""labels.json holds everything that a user of model.onnx needs."""

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps

from service.core.settings import Settings
from service.inference import Picture, Predictor
from tests.pictures import KINDS, encoded, stripes, zipped
from tests.workers.bench import Bench

METHODS = {"bilinear": Image.Resampling.BILINEAR}
WAYS: dict[str, Any] = {"square": Image.Image.resize, "crop": ImageOps.fit, "pad": ImageOps.pad}
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


def turned(pixels: NDArray[np.uint8]) -> bytes:
    """Stored on its side, with the orientation in its EXIF data."""
    exif, buffer = Image.Exif(), io.BytesIO()
    exif[ExifTags.Base.Orientation] = 6
    Image.fromarray(pixels).save(buffer, "PNG", exif=exif)
    return buffer.getvalue()


def veiled(pixels: NDArray[np.uint8]) -> bytes:
    """With transparency that grows from left to right."""
    height, width = pixels.shape[:2]
    alpha = np.tile(np.linspace(255, 0, width, dtype=np.uint8), (height, 1))
    color = np.dstack([pixels] * 3)[:, :, :3]
    return encoded(np.dstack([color, alpha]))


def deep(pixels: NDArray[np.uint8]) -> bytes:
    """Gray values of 16 bits."""
    gray = pixels.reshape(*pixels.shape[:2], -1)[:, :, 0].astype(np.uint16)
    return encoded(gray * 256 + 200)


def prepared(preprocessing: dict[str, Any], data: bytes) -> Image.Image:
    """A picture upright, opaque, with 8 bits in the model's color and size."""
    picture: Image.Image = Image.open(io.BytesIO(data))
    assert preprocessing["orientation"] == "exif"
    picture = ImageOps.exif_transpose(picture)
    if picture.mode.startswith("I"):
        shallow = np.asarray(picture) // preprocessing["sixteen_bit_divisor"]
        picture = Image.fromarray(shallow.astype(np.uint8))
    if picture.mode == "RGBA":
        opaque = Image.new("RGB", picture.size, preprocessing["background"])
        opaque.paste(picture, mask=picture.getchannel("A"))
        picture = opaque
    resize = preprocessing["resize"]
    assert resize["antialias"], "as Pillow always does"
    colored = picture.convert(MODES[preprocessing["color"]])
    sized: Image.Image = WAYS[resize["mode"]](colored, (resize["width"], resize["height"]), METHODS[resize["method"]])
    return sized


def probabilities(labels: dict[str, Any], graph: Path, data: bytes) -> dict[str, float]:
    """By class, from nothing but labels.json, the graph and the encoded picture."""
    low, high = labels["preprocessing"]["range"]
    sized = np.asarray(prepared(labels["preprocessing"], data))
    scaled = sized.astype(labels["input"]["type"]) / 255 * (high - low) + low
    values = scaled.reshape(*sized.shape[:2], -1)
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


@pytest.mark.parametrize(
    ("draw", "normalize", "resize"), [(colored, True, "crop"), (colored, True, "pad"), (gray, False, "square")]
)
def test_labels_and_graph_predict_what_the_service_does(
    bench: Bench, tmp_path: Path, draw: Any, normalize: bool, resize: str
) -> None:
    archive = {f"{kind}/{n:03}.png": encoded(draw(kind, n)) for kind in KINDS for n in range(10)}
    (tmp_path / "sent").write_bytes(zipped(archive))
    bench.read("ds_1", tmp_path / "sent")
    job = bench.run(
        dataset={"id": "ds_1", "image_size": 12, "resize": resize},
        model={"channels": [4], "hidden": [8]},
        augmentation={"normalize": normalize},
        epochs=2,
    )
    assert job.status == "succeeded", job.error
    artifacts = {artifact.name: artifact for artifact in bench.store.queries.artifacts("t", job.id)}
    for name in ("labels.json", "model.onnx"):
        bench.storage.get(artifacts[name], tmp_path / name)
    labels = json.loads((tmp_path / "labels.json").read_text())
    pictures = [
        Picture(f"{encode.__name__} {kind}", encode(draw(kind, 99)))
        for kind in KINDS
        for encode in (encoded, turned, veiled, deep)
    ]
    assert labels["preprocessing"]["resize"]["mode"] == resize
    predictions = Predictor(bench.storage).predict(artifacts["model.onnx"], artifacts["report.json"], pictures)
    for picture, prediction in zip(pictures, predictions, strict=True):
        own = probabilities(labels, tmp_path / "model.onnx", picture.data)
        assert list(own) == sorted(KINDS)
        assert own == pytest.approx(prediction.probabilities, abs=1e-5), picture.name
