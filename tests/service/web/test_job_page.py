"""The page of one job."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from service.core.records.job import Status
from service.services import Services
from tests.service.web.pages import looks_right, run, submit

LAYERS = {"arch": "layers", "layers": [{"type": "flatten"}, {"type": "linear"}]}


@pytest.mark.parametrize("model", [{"arch": "cnn"}, {"arch": "mlp", "hidden": [8]}, {"arch": "resnet18"}, LAYERS])
def test_the_page_shows_what_differs_from_the_defaults(client: FlaskClient, model: dict[str, Any]) -> None:
    text = looks_right(client, f"/jobs/{submit(client, model=model)}")
    assert f"What differs from the defaults with {model['arch']}" in text
    assert "/epochs" in text
    assert ("/model/hidden" in text) == ("hidden" in model)
    assert "/model/layers" not in text


def test_pages_have_names_in_place_of_ids(client: FlaskClient, parts: Services, tmp_path: Path) -> None:
    first = submit(client, name="cats & dogs")
    run(parts, tmp_path)
    fork = json.loads(client.post(f"/v1/jobs/{first}/fork", json={"advice": "dropout"}).text)["id"]
    assert 'download="cats-dogs-history.csv"' in looks_right(client, f"/jobs/{first}")
    run(parts, tmp_path, count=3, status=Status.RUNNING)
    page = looks_right(client, f"/jobs/{fork}")
    assert 'download="cats-dogs-dropout-history.csv"' in page, "a fork has another name than its parent"
    assert "request" not in page[page.index('id="events-list"') :]
    assert "<h1>A job like cats &amp; dogs</h1>" in looks_right(client, f"/new?like={first}")
    compared = re.sub(
        '(href|value|id|data-history|data-name)="[^"]*"', "", looks_right(client, f"/compare?jobs={first},{fork}")
    )
    assert "not ended yet: cats &amp; dogs + dropout" in compared
    assert "job_" not in compared
