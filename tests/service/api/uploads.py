"""Data sets that the tests of the API upload."""

import json
from typing import Any

from flask.testing import FlaskClient

from service.services import Services
from tests.service.worker_steps import read_datasets

ZIP = "application/zip"


def send(client: FlaskClient, data: bytes, content_type: str = ZIP, name: str = "my set") -> dict[str, Any]:
    """Upload an archive; returns the data set, which no worker has read yet."""
    answer = client.post("/v1/datasets", query_string={"name": name}, data=data, content_type=content_type)
    assert answer.status_code == 202, answer.text
    assert answer.headers["Location"] == f"/v1/datasets/{answer.json['id']}"
    sent: dict[str, Any] = json.loads(answer.text)
    return sent


def ready(client: FlaskClient, services: Services, data: bytes, content_type: str = ZIP) -> dict[str, Any]:
    """Upload an archive and read it as a worker does; returns the data set, which is ready."""
    sent = send(client, data, content_type)
    read_datasets(services)
    dataset: dict[str, Any] = json.loads(client.get(f"/v1/datasets/{sent['id']}").text)
    assert dataset["status"] == "ready", dataset
    return dataset
