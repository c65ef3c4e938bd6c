"""A data set with groups, from its upload to the report of a job on it."""

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from flask import Flask

from service.app import create_app
from tests.pictures import encoded, stripes, zipped
from tests.service.worker_steps import read_datasets
from tests.workers.bench import Bench

SIDE = 16  # pixels


def pictures() -> Iterator[tuple[str, int, str]]:
    """The class, the number and the group of each picture.

    15 patients have 4 rows and 4 columns each, and 3 wards have a row and 10 checks each.
    """
    for number in range(60):
        yield "rows", number, f"patient {number // 4}"
        yield "columns", number, f"patient {number // 4}"
    for number in range(30):
        yield "checks", number, f"ward {number // 10}"
    for number in range(3):
        yield "rows", 60 + number, f"ward {number}"


def label_file() -> bytes:
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(("file_name", "label", "group"))
    table.writerows((f"{kind}-{number}.png", kind, group) for kind, number, group in pictures())
    return text.getvalue().encode()


@pytest.fixture
def app(bench: Bench) -> Iterator[Flask]:
    """The API over the database and the storage of the bench."""
    app = create_app(bench.settings)
    yield app
    app.extensions["rightfit"].database.close()


def upload(app: Flask) -> str:
    """Upload the pictures without folders and the label file beside them, and read them; returns the id of the set."""
    files = {f"{kind}-{number}.png": encoded(stripes(kind, number, SIDE)) for kind, number, _ in pictures()}
    form = {
        "name": "wards",
        "file": (io.BytesIO(zipped(files)), "wards.zip"),
        "labels": (io.BytesIO(label_file()), "labels.csv"),
    }
    sent = app.test_client().post("/v1/datasets", data=form, content_type="multipart/form-data")
    read_datasets(app.extensions["rightfit"])
    return str(json.loads(sent.text)["id"])


def groups_in_order(bench: Bench, dataset_id: str) -> list[str]:
    """The group of each picture of the set, which is found by its pixels."""
    with bench.storage.open(f"datasets/{dataset_id}/a1/pixels.bin") as file:
        stored = np.frombuffer(file.read(), np.uint8).reshape(-1, SIDE * SIDE)
    groups = {stripes(kind, number, SIDE).tobytes(): group for kind, number, group in pictures()}
    return [groups[picture.tobytes()] for picture in stored]


def test_groups_stay_on_one_side_and_shares_are_reported(bench: Bench, app: Flask) -> None:
    client, dataset_id = app.test_client(), upload(app)
    spec = {"dataset": {"id": dataset_id}, "model": {"arch": "mlp", "hidden": [8]}, "epochs": 1}
    job = json.loads(client.post("/v1/jobs", json=spec).text)["id"]
    assert bench.supervisor.run_next() == job

    def answer(path: str) -> Any:
        with client.get(f"/v1/jobs/{job}/{path}") as response:
            return json.loads(response.data)

    groups, split = groups_in_order(bench, dataset_id), answer("artifacts/split.json")
    train, validation = ({groups[index] for index in split[part]} for part in ("train", "validation"))
    assert (len(train) + len(validation), train & validation) == (18, set())

    data = answer("artifacts/report.json")["data"]
    *_, note = data["notes"]
    assert "class 'checks': 10 of its 30 images are in the part validation" in note
    assert "asks for 6: images of one group stay together" in note
    assert note in [line["message"] for line in answer("logs")["data"]]
    assert data["validation_share"]["most"] == pytest.approx(10 / 30)
    assert data["validation_share"]["least"] == pytest.approx(0.2, abs=0.05)
