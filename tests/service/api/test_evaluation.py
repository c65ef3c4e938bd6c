"""The evaluation of a job over HTTP."""

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient

from service.core.evaluation.evaluation import evaluate
from service.core.evaluation.predictions import TEST, VALIDATION, Predictions, joined
from service.core.records.job import Outcome, Status, StopReason
from service.services import Services
from tests.servers import ON_DISK
from tests.service.api.requests import expect_problem, submit
from tests.service.api.runs import FACTS, history
from tests.service.drawn import drawn
from tests.service.worker_steps import claim, finish

PREDICTIONS = joined(drawn(300, 10, 3.0), drawn(200, 10, 3.0, seed=1, part=TEST))


def ended(
    client: FlaskClient, services: Services, folder: Path, predictions: Predictions | None = PREDICTIONS, **spec: Any
) -> str:
    """The address of the evaluation of an ended job."""
    job = submit(client, **spec)
    finish(services, claim(services), folder, predictions=predictions)
    return str(job["links"]["evaluation"])


def test_evaluation_has_scores_calibration_and_mistakes(
    client: FlaskClient, services: Services, tmp_path: Path
) -> None:
    address = ended(client, services, tmp_path)
    answer = client.get(f"{address}?part=validation").json
    truth = evaluate(PREDICTIONS, VALIDATION)
    assert (answer["part"], answer["parts"], answer["images"]) == ("validation", ["validation", "test"], 300)
    assert answer["classes"] == list("0123456789")
    assert answer["confusion"] == truth.scores.confusion.tolist()
    assert answer["accuracy"] == truth.scores.accuracy
    assert answer["per_class"][3]["recall"] == truth.scores.per_class[3].recall
    assert answer["loss"] == truth.calibration.loss
    assert answer["calibration"]["temperature"] == truth.calibration.temperature
    assert sum(each["images"] for each in answer["calibration"]["bins"]) == 300
    assert answer["baseline"]["label"] == str(truth.baseline.label)
    mistake, row = answer["mistakes"][0], truth.mistakes(1)[0]
    assert mistake["index"] == truth.outcomes.index[row]
    assert mistake["image"] == f"/v1/datasets/digits/images/{mistake['index']}"
    assert mistake["label"] != mistake["guess"]
    assert mistake["loss"] == truth.outcomes.loss[row]


@ON_DISK
def test_test_images_come_first_if_there_are_any(client: FlaskClient, services: Services, tmp_path: Path) -> None:
    assert client.get(ended(client, services, tmp_path)).json["part"] == "test"
    address = ended(client, services, tmp_path, drawn(40, 10))
    assert client.get(address).json["part"] == "validation"
    assert "there are: validation" in expect_problem(client.get(f"{address}?part=test"), 404)["detail"]


@ON_DISK
def test_mistakes_of_one_cell(client: FlaskClient, services: Services, tmp_path: Path) -> None:
    address = ended(client, services, tmp_path)
    pair = client.get(address).json["confused"][0]
    cell = client.get(f"{address}?label={pair['label']}&guess={pair['guess']}&mistakes=200").json["mistakes"]
    assert len(cell) == pair["images"]
    assert {(each["label"], each["guess"]) for each in cell} == {(pair["label"], pair["guess"])}
    assert len(client.get(f"{address}?mistakes=3").json["mistakes"]) == 3
    assert client.get(f"{address}?mistakes=0").json["mistakes"] == []


@ON_DISK
@pytest.mark.parametrize(
    ("query", "allowed"),
    [
        ("part=nonsense", "validation, test"),
        ("label=ten", "0, 1, 2"),
        ("guess=10", "0, 1, 2"),
        ("mistakes=201", "0 to 200"),
        ("format=xml", "json, csv, text"),
        ("color=red", "part"),
    ],
)
def test_bad_query_is_refused_with_what_is_allowed(
    client: FlaskClient, services: Services, tmp_path: Path, query: str, allowed: str
) -> None:
    problem = expect_problem(client.get(f"{ended(client, services, tmp_path)}?{query}"), 422)
    assert allowed in problem["errors"][0]["allowed"]


@ON_DISK
def test_evaluation_as_csv_and_text(client: FlaskClient, services: Services, tmp_path: Path) -> None:
    address = ended(client, services, tmp_path)
    table = client.get(f"{address}?format=csv")
    assert table.mimetype == "text/csv"
    head, *rows = csv.reader(io.StringIO(table.text))
    assert head == ["label", *"0123456789"]
    assert [[int(cell) for cell in row[1:]] for row in rows] == client.get(address).json["confusion"]
    text = client.get(f"{address}?format=text&mistakes=2")
    assert text.mimetype == "text/plain"
    assert max(map(len, text.text.splitlines())) <= 80
    assert "rows: label, columns: prediction" in text.text


@ON_DISK
@pytest.mark.parametrize(("kind", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml")])
def test_evaluation_as_a_picture(
    client: FlaskClient, services: Services, tmp_path: Path, kind: str, start: bytes
) -> None:
    address = ended(client, services, tmp_path, name="$x_$ run")
    answer = client.get(f"{address}.{kind}?part=validation")
    assert answer.data.startswith(start)
    again = client.get(f"{address}.{kind}?part=validation", headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304


@ON_DISK
def test_unchanged_evaluation_is_304(client: FlaskClient, services: Services, tmp_path: Path) -> None:
    address = ended(client, services, tmp_path)
    tag = client.get(address).headers["ETag"]
    assert client.get(address, headers={"If-None-Match": tag}).status_code == 304
    assert client.get(f"{address}?mistakes=1", headers={"If-None-Match": tag}).status_code == 200


def test_job_without_predictions_says_why(client: FlaskClient, services: Services, tmp_path: Path) -> None:
    job = submit(client)
    assert "is queued" in expect_problem(client.get(job["links"]["evaluation"]), 409)["detail"]
    services.store.leases.finish(claim(services), Outcome(Status.CANCELLED, StopReason.CANCELLED), [])
    assert "no epoch ended with a finite loss" in expect_problem(client.get(job["links"]["evaluation"]), 409)["detail"]
    expect_problem(client.post(job["links"]["calibrate"]), 409)
    expect_problem(client.get("/v1/jobs/job_none/evaluation"), 404)


@ON_DISK
def test_large_matrix_is_only_in_the_csv(client: FlaskClient, services: Services, tmp_path: Path) -> None:
    predictions = drawn(500, 100)
    address = ended(client, services, tmp_path, predictions, dataset={"id": "cifar100"})
    answer = client.get(address).json
    assert answer["confusion"] is None
    assert len(answer["confused"]) == 50
    assert len(answer["per_class"]) == 100
    rows = list(csv.reader(io.StringIO(client.get(f"{address}?format=csv").text)))
    assert np.array([row[1:] for row in rows[1:]], int).sum() == 500
    assert "most confused" in client.get(f"{address}?format=text").text
    assert client.get(f"{address}.png").data.startswith(b"\x89PNG")


@ON_DISK
def test_damaged_predictions_are_reported(client: FlaskClient, services: Services, tmp_path: Path) -> None:
    address = ended(client, services, tmp_path)
    (path,) = Path(services.settings.home).rglob("predictions.npz")
    path.write_bytes(b"x")
    expect_problem(client.get(address), 503)


def test_calibrate_records_the_temperature_once(client: FlaskClient, services: Services, tmp_path: Path) -> None:
    job = submit(client)
    lease = claim(services)
    services.store.leases.record_facts(lease, FACTS)
    expect_problem(client.post(job["links"]["calibrate"]), 409)
    finish(services, lease, tmp_path, predictions=PREDICTIONS)
    answer = client.post(job["links"]["calibrate"])
    truth = evaluate(PREDICTIONS, VALIDATION).calibration
    assert answer.status_code == 200
    assert answer.json["temperature"] == truth.temperature
    assert answer.json["loss_after"] == truth.loss_after < answer.json["loss"]
    recorded = client.get(job["links"]["self"])
    assert recorded.json["facts"]["calibration"] == answer.json
    assert client.post(job["links"]["calibrate"]).json == answer.json
    assert client.get(job["links"]["self"]).headers["ETag"] == recorded.headers["ETag"]
    expect_problem(client.post("/v1/jobs/job_none/calibrate"), 404)


def test_overconfident_run_is_advised_to_calibrate_first(
    client: FlaskClient, services: Services, tmp_path: Path
) -> None:
    job = submit(client)
    lease = claim(services)
    services.store.leases.record_facts(lease, FACTS)
    services.store.leases.append(lease, history("overconfident"))
    assert client.get(job["links"]["diagnosis"]).json["advice"][0]["id"] != "temperature"
    finish(services, lease, tmp_path, predictions=PREDICTIONS)
    diagnosis = client.get(job["links"]["diagnosis"]).json
    first = diagnosis["advice"][0]
    assert (diagnosis["verdict"], first["id"], first["patch"]) == ("overconfident", "temperature", [])
    assert first["action"] == {"method": "POST", "href": job["links"]["calibrate"]}
    fact = client.post(first["action"]["href"]).json
    expected = client.get(job["links"]["diagnosis"]).json["advice"][0]["expected"]
    assert f"by {fact['temperature']:.2g} lowers the validation loss" in expected
    problem = expect_problem(client.post(job["links"]["fork"], json={"advice": "temperature"}), 422)
    assert "needs no new training" in problem["errors"][0]["detail"]


@ON_DISK
def test_calibration_is_not_advised_without_predictions(
    client: FlaskClient, services: Services, tmp_path: Path
) -> None:
    job = submit(client)
    lease = claim(services)
    services.store.leases.append(lease, history("overconfident"))
    finish(services, lease, tmp_path)
    assert "temperature" not in [each["id"] for each in client.get(job["links"]["diagnosis"]).json["advice"]]
