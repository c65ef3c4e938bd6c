"""Predictions of a published model over HTTP."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from flask.testing import FlaskClient
from werkzeug.datastructures import MultiDict

from service.services import Services
from tests.pictures import encoded
from tests.servers import ON_DISK_FIRST
from tests.service.api.requests import expect_problem, submit
from tests.service.published_network import CLASSES, finish_with, small_network

pytestmark = ON_DISK_FIRST


@pytest.fixture
def network() -> torch.nn.Module:
    return small_network()


@pytest.fixture
def job(client: FlaskClient, services: Services, tmp_path: Path, network: torch.nn.Module) -> str:
    """The id of a job that has published the network."""
    job_id: str = submit(client)["id"]
    finish_with(services, network, tmp_path)
    return job_id


def form(*pictures: bytes) -> dict[str, Any]:
    return {"file": [(io.BytesIO(data), f"{i}.png", "image/png") for i, data in enumerate(pictures)]}


def test_predictions_equal_those_of_torch(client: FlaskClient, job: str, network: torch.nn.Module) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (2, 6, 4, 3), np.uint8)
    answer = client.post(
        f"/v1/jobs/{job}/predict", data=form(*map(encoded, pixels)), content_type="multipart/form-data"
    )
    assert answer.status_code == 200, answer.text
    with torch.inference_mode():
        expected = network(torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255).softmax(1)
    for said, of_torch in zip(answer.json["data"], expected, strict=True):
        assert list(said["probabilities"]) == CLASSES
        assert list(said["probabilities"].values()) == pytest.approx(of_torch.tolist(), abs=1e-5)
        assert said["label"] == CLASSES[int(of_torch.argmax())]
        assert said["probability"] == max(said["probabilities"].values())
    assert [said["name"] for said in answer.json["data"]] == ["0.png", "1.png"]


def test_image_is_converted_to_size_and_mode_of_the_model(client: FlaskClient, job: str) -> None:
    gray = encoded(np.full((60, 40), 128, np.uint8))
    same = encoded(np.full((6, 4, 3), 128, np.uint8))
    answers = [client.post(f"/v1/jobs/{job}/predict", data=data, content_type="image/png") for data in (gray, same)]
    first, second = (answer.json["data"][0]["probabilities"] for answer in answers)
    assert first == pytest.approx(second)


def test_predictions_beyond_the_limit_are_refused(client: FlaskClient, services: Services, job: str) -> None:
    while services.predicting.enter("default"):
        pass
    good = encoded(np.zeros((6, 4), np.uint8))
    answer = client.post(f"/v1/jobs/{job}/predict", data=good, content_type="image/png")
    expect_problem(answer, 503)
    assert "Retry-After" in answer.headers


def test_predictions_are_in_the_order_of_the_images(client: FlaskClient, job: str) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (40, 6, 4, 3), np.uint8)
    whole = client.post(
        f"/v1/jobs/{job}/predict", data=form(*map(encoded, pixels)), content_type="multipart/form-data"
    ).json["data"]
    assert [said["name"] for said in whole] == [f"{i}.png" for i in range(40)]
    last = client.post(f"/v1/jobs/{job}/predict", data=encoded(pixels[39]), content_type="image/png").json["data"]
    assert whole[39]["probabilities"] == pytest.approx(last[0]["probabilities"])


def test_pictures_are_read_batch_by_batch(
    client: FlaskClient, job: str, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.inference.PIXELS_AT_ONCE", 2 * 6 * 4)
    address, good = f"/v1/jobs/{job}/predict", encoded(np.zeros((6, 4), np.uint8))
    client.post(address, data=good, content_type="image/png")
    sizes: list[int] = []
    empty = np.empty

    def counted(shape: tuple[int, ...], kind: type) -> Any:
        sizes.append(shape[0])
        return empty(shape, kind)

    monkeypatch.setattr("service.inference.np.empty", counted)
    answer = client.post(address, data=form(*[good] * 5), content_type="multipart/form-data")
    assert (len(answer.json["data"]), sizes) == (5, [2, 2, 1])
    broken = client.post(address, data=form(b"no", good, good, good, b"no"), content_type="multipart/form-data")
    assert [error["pointer"] for error in expect_problem(broken, 422)["errors"]] == ["/0", "/4"]


def test_the_pictures_of_a_request_have_a_limit_of_time(
    client: FlaskClient, job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.inference.MOST_SECONDS", 0.0)
    good = encoded(np.zeros((60, 40), np.uint8))
    answer = client.post(f"/v1/jobs/{job}/predict", data=form(good, good), content_type="multipart/form-data")
    (fault,) = expect_problem(answer, 422)["errors"]
    assert (fault["pointer"], "0 s to read" in fault["detail"]) == ("/1", True)
    assert client.post(f"/v1/jobs/{job}/predict", data=good, content_type="image/png").status_code == 200


def test_bad_prediction_request_is_refused_with_reason(client: FlaskClient, job: str) -> None:
    address, good = f"/v1/jobs/{job}/predict", encoded(np.zeros((6, 4), np.uint8))
    problem = expect_problem(client.post(address, data=form(good, b"no"), content_type="multipart/form-data"), 422)
    assert [error["pointer"] for error in problem["errors"]] == ["/1"]
    assert "1.png: not an image" in problem["errors"][0]["detail"]
    expect_problem(client.post(address, data=b"", content_type="image/png"), 422)
    expect_problem(client.post(address, json={}), 415)
    expect_problem(client.post(address, data={}, content_type="multipart/form-data"), 422)
    expect_problem(client.post(address, data=form(*[good] * 101), content_type="multipart/form-data"), 422)
    for wrong, pointer in ((("picture", (io.BytesIO(good), "a.png")), "/picture"), (("name", "a"), "/name")):
        fields = MultiDict([("file", (io.BytesIO(good), "0.png")), wrong])
        problem = expect_problem(client.post(address, data=fields, content_type="multipart/form-data"), 422)
        assert [error["pointer"] for error in problem["errors"]] == [pointer]
        assert problem["errors"][0]["allowed"] == "1 to 100 files in the field file"
    turned = {"file": [(io.BytesIO(good), "a.png"), (io.BytesIO(good), "\u202egnp.exe")]}
    problem = expect_problem(client.post(address, data=turned, content_type="multipart/form-data"), 422)
    assert [(error["pointer"], "U+202E" in error["detail"]) for error in problem["errors"]] == [("/1", True)]
    expect_problem(client.post("/v1/jobs/job_none/predict", data=good, content_type="image/png"), 404)
    waiting = submit(client)["id"]
    problem = expect_problem(client.post(f"/v1/jobs/{waiting}/predict", data=good, content_type="image/png"), 409)
    assert "queued" in problem["detail"]
