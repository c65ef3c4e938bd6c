"""Comparisons on the pages say whether they are paired."""

import json
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from service.core.evaluation.predictions import Predictions
from service.services import Services
from tests.service.drawn import drawn
from tests.service.web.pages import looks_right, submit
from tests.service.worker_steps import claim, epoch, finish


def run(parts: Services, folder: Path, predictions: Predictions, loss: float) -> None:
    """End the next job with a best epoch and predictions."""
    lease = claim(parts)
    parts.store.leases.append(lease, [epoch(1, loss, improved=True)])
    finish(parts, lease, folder, predictions=predictions)


@pytest.mark.parametrize(("seed", "is_paired"), [(0, True), (1, False)])
def test_pages_say_whether_a_comparison_is_paired(
    client: FlaskClient, parts: Services, tmp_path: Path, seed: int, is_paired: bool
) -> None:
    parent = submit(client, name="first")
    run(parts, tmp_path, drawn(400, 10), 0.5)
    fork = json.loads(client.post(f"/v1/jobs/{parent}/fork", json={"advice": "dropout"}).text)["id"]
    run(parts, tmp_path, drawn(400, 10, 2.0, seed=seed), 0.4)
    compared = looks_right(client, f"/compare?jobs={parent},{fork}")
    assert ("Scored on the same 400 images and compared image by image (paired)." in compared) == is_paired
    assert ("(95 %, paired)" in compared) == is_paired
    for page in (parent, fork):
        assert ("(95 %, paired)" in looks_right(client, f"/jobs/{page}")) == is_paired
