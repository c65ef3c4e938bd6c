"""Cross-validations as the tests request them."""

import json
from typing import Any

from flask.testing import FlaskClient

from tests.service.api.requests import SPEC


def create_folds(client: FlaskClient, folds: int = 3, seeds: int = 1, **changes: Any) -> dict[str, Any]:
    """Create a cross-validation of SPEC with these changes."""
    answer = client.post("/v1/folds", json={"spec": SPEC | changes, "folds": folds, "seeds": seeds})
    assert answer.status_code == 202, answer.text
    assert answer.headers["Location"] == answer.json["links"]["self"]
    created: dict[str, Any] = json.loads(answer.text)
    return created
