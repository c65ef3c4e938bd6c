"""The page of one job."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.service.web.pages import looks_right, submit

LAYERS = {"arch": "layers", "layers": [{"type": "flatten"}, {"type": "linear"}]}


@pytest.mark.parametrize("model", [{"arch": "cnn"}, {"arch": "mlp", "hidden": [8]}, {"arch": "resnet18"}, LAYERS])
def test_the_page_shows_what_differs_from_the_defaults(client: FlaskClient, model: dict[str, Any]) -> None:
    text = looks_right(client, f"/jobs/{submit(client, model=model)}")
    assert "/epochs" in text
    assert ("/model/hidden" in text) == ("hidden" in model)
    assert "/model/layers" not in text
