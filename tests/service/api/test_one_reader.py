"""An image that a model was trained on has the same pixels in training and in a prediction.

The model of these tests is the identity: its logits are the pixels of its input.
"""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from flask.testing import FlaskClient
from numpy.typing import NDArray
from PIL import Image

from service.core.records.dataset import ReadingOptions
from service.core.records.job import Outcome, Status, StopReason
from service.services import Services
from tests.pictures import encoded, zipped
from tests.servers import ON_DISK_FIRST
from tests.service.api.requests import submit
from tests.service.core.images.encoded import SIDEWAYS, chunk, colours, exif, netpbm, png_with, saved
from tests.service.worker_steps import claim
from workers.datasets.ingest.read import read
from workers.training import data
from workers.training.data.images import ImageSet
from workers.training.data.normalization import Normalization
from workers.training.export import save_onnx

pytestmark = ON_DISK_FIRST

SIDE = 9
TWELVE_BITS = np.random.default_rng(1).integers(0, 4096, (30, 20)).astype(np.uint16)
VEILED = np.dstack([colours(30, 20), np.tile(np.array([0, 100, 200, 255], np.uint8), (30, 5))])
PHOTOGRAPH = saved(Image.fromarray(colours(20, 30)).resize((3000, 2000), Image.Resampling.BICUBIC), "JPEG")
SETS: dict[str, tuple[list[bytes], str]] = {
    "gray and colour": ([encoded(colours()[..., 0]), encoded(colours(40, 50))], "white"),
    "upright and turned": (
        [encoded(colours(30, 20)), png_with(encoded(colours()), chunk(b"eXIf", exif(SIDEWAYS)))],
        "white",
    ),
    "12 of 16 bits": ([encoded(TWELVE_BITS), encoded(TWELVE_BITS[:20])], "white"),
    "transparent on white": ([encoded(VEILED), encoded(colours())], "white"),
    "transparent on the mean": ([encoded(VEILED), encoded(VEILED[:20])], "mean"),
    "a photograph": ([PHOTOGRAPH, encoded(colours())], "white"),
    "PPM and TIFF": ([netpbm(b"P3", colours(), 255), saved(colours(40, 20), "TIFF", compression="tiff_lzw")], "white"),
    "of one size": ([encoded(colours(seed=1)), encoded(colours(seed=2))], "black"),
}


Publish = Callable[[ImageSet, dict[str, Any]], str]


@pytest.fixture
def publish(client: FlaskClient, services: Services, tmp_path: Path) -> Publish:
    """Ends a job with the identity as its model, and with this preprocessing in its report; returns the job's id."""

    def with_set(images: ImageSet, preprocessing: dict[str, Any]) -> str:
        job_id: str = submit(client)["id"]
        lease = claim(services)
        count = int(np.prod(images.shape))
        report = {
            "data": {"classes": [str(i) for i in range(count)], "shape": list(images.shape)},
            "preprocessing": preprocessing,
        }
        (tmp_path / "report.json").write_text(json.dumps(report))
        samples = images.take(torch.arange(2))
        save_onnx(torch.nn.Flatten(), Normalization.none(images.shape[0]), samples, tmp_path / "model.onnx")
        published = [
            services.storage.put(f"jobs/{job_id}/a1/{name}", tmp_path / name) for name in ("model.onnx", "report.json")
        ]
        services.store.leases.finish(lease, Outcome(Status.SUCCEEDED, StopReason.MAX_EPOCHS), published)
        return job_id

    return with_set


def seen(client: FlaskClient, job_id: str, picture: bytes) -> NDArray[np.float64]:
    """The pixels (0 to 255) that the model was given, less their mean: softmax hides that."""
    form = {"file": [(io.BytesIO(picture), "picture", "image/png")]}
    answer = client.post(f"/v1/jobs/{job_id}/predict", data=form, content_type="multipart/form-data")
    assert answer.status_code == 200, answer.text
    logits: NDArray[np.float64] = 255 * np.log(list(answer.json["data"][0]["probabilities"].values()))
    shown: NDArray[np.float64] = logits - logits.mean()
    return shown


@pytest.mark.parametrize("case", SETS)
def test_a_training_image_has_the_same_pixels_in_a_prediction(
    client: FlaskClient, publish: Publish, tmp_path: Path, case: str
) -> None:
    pictures, background = SETS[case]
    (tmp_path / "upload").write_bytes(zipped({f"{'ab'[i]}/{i}": picture for i, picture in enumerate(pictures)}))
    (tmp_path / "pack").mkdir()
    read("zip", tmp_path / "upload", tmp_path / "pack", 1 << 30, ReadingOptions(background=background))
    images = data.load("uploaded", SIDE, data.DataPaths(tmp_path / "pack", tmp_path))
    job_id = publish(images, images.preprocessing.to_dict())
    for pixels, picture in zip(images.take(torch.arange(2)), pictures, strict=True):
        trained = pixels.contiguous().flatten().double().numpy()
        assert np.abs(seen(client, job_id, picture) - (trained - trained.mean())).max() < 0.01


def test_a_model_of_an_older_release_sees_black_and_a_256th(client: FlaskClient, publish: Publish) -> None:
    images = ImageSet(torch.zeros(2, 1, 1, 4, dtype=torch.uint8), torch.arange(2), ("a", "b"))
    job_id = publish(
        images, {"scale": "pixel / 255, then (value - mean) / std per channel", "mean": [0.0], "std": [1.0]}
    )
    deep = seen(client, job_id, encoded(np.array([[0, 256, 4096, 65535]], np.uint16)))
    assert (deep - deep[0]).tolist() == pytest.approx([0, 1, 16, 255], abs=0.01)
    veiled = seen(client, job_id, encoded(np.array([[[0, 0], [90, 255], [200, 0], [255, 255]]], np.uint8)))
    assert (veiled - veiled[0]).tolist() == pytest.approx([0, 90, 0, 255], abs=0.01)
