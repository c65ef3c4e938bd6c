"""The out-of-fold predictions of a cross-validation and their evaluation, with predictions drawn by the test."""

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient

from service.core.evaluation.evaluation import evaluate
from service.core.evaluation.predictions import TEST, VALIDATION, Predictions, joined
from service.services import Services
from tests.servers import ON_DISK
from tests.service.api.folds import create_folds
from tests.service.api.requests import SPEC, expect_problem
from tests.service.drawn import drawn
from tests.service.worker_steps import claim, epoch, finish

FOLDS, SEEDS, IMAGES = 3, 2, 40


def of_job(number: int) -> Predictions:
    """The predictions of a job: its fold of validation images, and 10 test images."""
    fold = drawn(IMAGES, 10, 3.0, seed=number)
    return joined(replace(fold, index=fold.index + IMAGES * (number % FOLDS)), drawn(10, 10, seed=9, part=TEST))


VALIDATED = [of_job(number).of(VALIDATION) for number in range(FOLDS * SEEDS)]


def ended(client: FlaskClient, services: Services, folder: Path, leave: int = 0) -> dict[str, Any]:
    """A cross-validation whose jobs have ended but the last ones."""
    created = create_folds(client, FOLDS, SEEDS, seed=5, name="$x_$ run")
    for number in range(FOLDS * SEEDS - leave):
        lease = claim(services)
        services.store.leases.append(lease, [epoch(1, 0.5, improved=True)])
        finish(services, lease, folder, predictions=of_job(number))
    return created


def test_predictions_have_each_image_once_per_seed(client: FlaskClient, services: Services, tmp_path: Path) -> None:
    address = ended(client, services, tmp_path)["links"]["predictions"]
    answer = client.get(address, buffered=True)
    found = np.load(io.BytesIO(answer.data))
    expected = joined(*VALIDATED)
    for name, values in vars(expected).items():
        assert found[name].dtype == values.dtype
        assert np.array_equal(found[name], values)
    assert np.array_equal(np.bincount(found["index"]), np.full(FOLDS * IMAGES, SEEDS))
    of_seed = np.load(io.BytesIO(client.get(f"{address}?seed=6", buffered=True).data))
    assert np.array_equal(of_seed["logits"], joined(*VALIDATED[FOLDS:]).logits)
    assert client.get(address, buffered=True, headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304
    part = client.get(address, buffered=True, headers={"Range": "bytes=2-9"})
    assert (part.status_code, part.data) == (206, answer.data[2:10])


def test_evaluation_is_over_all_folds(client: FlaskClient, services: Services, tmp_path: Path) -> None:
    address = ended(client, services, tmp_path)["links"]["evaluation"]
    answer = client.get(address).json
    truth = evaluate(joined(*VALIDATED), VALIDATION)
    assert (answer["part"], answer["parts"], answer["images"]) == ("validation", ["validation"], 240)
    assert answer["confusion"] == truth.scores.confusion.tolist()
    assert (answer["accuracy"], answer["loss"]) == (truth.scores.accuracy, truth.calibration.loss)
    assert answer["mistakes"][0]["image"].startswith("/v1/datasets/digits/images/")
    of_seed = client.get(f"{address}?seed=5&mistakes=2").json
    assert of_seed["confusion"] == evaluate(joined(*VALIDATED[:FOLDS]), VALIDATION).scores.confusion.tolist()
    assert len(of_seed["mistakes"]) == 2
    assert client.get(f"{address}?format=csv").mimetype == "text/csv"
    assert "rows: label" in client.get(f"{address}?format=text").text
    assert client.get(f"{address}.png").data.startswith(b"\x89PNG")
    assert client.get(f"{address}.svg?part=validation").data.startswith(b"<?xml")


@ON_DISK
@pytest.mark.parametrize(
    ("query", "status", "allowed"), [("seed=7", 422, "5, 6"), ("label=ten", 422, "0, 1, 2"), ("part=test", 404, None)]
)
def test_bad_query_is_refused(
    client: FlaskClient, services: Services, tmp_path: Path, query: str, status: int, allowed: str | None
) -> None:
    address = ended(client, services, tmp_path)["links"]["evaluation"]
    problem = expect_problem(client.get(f"{address}?{query}"), status)
    assert allowed is None or problem["errors"][0]["allowed"].startswith(allowed)


@ON_DISK
def test_unfinished_folds_say_what_is_missing(client: FlaskClient, services: Services, tmp_path: Path) -> None:
    created = ended(client, services, tmp_path, leave=2)
    detail = expect_problem(client.get(created["links"]["evaluation"]), 409)["detail"]
    assert f"fold 1 of seed 6 has no result: job {created['runs'][4]['id']} is queued; 4 of 6" in detail
    assert client.get(f"{created['links']['evaluation']}?seed=5").status_code == 200
    assert client.delete(f"/v1/jobs/{created['runs'][0]['id']}").status_code == 204
    detail = expect_problem(client.get(f"{created['links']['predictions']}?seed=5"), 409)["detail"]
    assert detail == "1 job of the cross-validation deleted; every fold is needed"


@ON_DISK
def test_fold_without_predictions_is_named(client: FlaskClient, services: Services, tmp_path: Path) -> None:
    created = client.post("/v1/folds", json={"spec": SPEC, "folds": 2}).json
    for _ in range(2):
        lease = claim(services)
        services.store.leases.append(lease, [epoch(1, 0.5, improved=True)])
        finish(services, lease, tmp_path)
    detail = expect_problem(client.get(created["links"]["evaluation"]), 409)["detail"]
    assert detail == f"job {created['runs'][0]['id']} has published no predictions.npz"
