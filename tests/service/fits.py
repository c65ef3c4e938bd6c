"""Fits that the tests run without training: the conductor and the worker take turns."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from flask import Flask
from flask.testing import FlaskClient

from service.conductor.conductor import Conductor
from service.core.evaluation.predictions import VALIDATION, Predictions
from service.services import Services
from tests.service.worker_steps import claim, epoch, finish

REQUEST: dict[str, Any] = {"dataset": {"id": "digits"}, "jobs": 3, "seed": 1, "spec": {"epochs": 1}, "seeds": 1}
LOSSES = (0.9, 0.5, 0.7)  # best validation losses of the jobs of REQUEST, the first of which is the base


def create_fit(client: FlaskClient, **changes: Any) -> dict[str, Any]:
    """Create a fit of REQUEST with these changes."""
    answer = client.post("/v1/fits", json=REQUEST | changes)
    assert answer.status_code == 202, answer.text
    created: dict[str, Any] = json.loads(answer.text)
    return created


def run_fit(app: Flask, folder: Path) -> None:
    """Run the only fit to its end, with a job for each of LOSSES."""
    services: Services = app.extensions["rightfit"]
    with app.app_context():
        conductor = Conductor(app)
        for loss in LOSSES:
            conductor.turn()
            train(services, folder, loss)
        conductor.turn()


def train(services: Services, folder: Path, loss: float) -> None:
    """Train the next job of a fit for one epoch."""
    lease = claim(services)
    services.store.leases.append(lease, [epoch(1, loss, improved=True)])
    finish(services, lease, folder, predictions=_predictions(loss))


def _predictions(loss: float, images: int = 200, classes: int = 10) -> Predictions:
    """Predictions of always the same images, surer of the label where the loss is lower."""
    rng = np.random.default_rng(0)
    label = rng.integers(0, classes, images)
    logits = rng.normal(0, 1, (images, classes)) + 2 / loss * np.eye(classes)[label]
    part = np.full(images, VALIDATION, np.uint8)
    return Predictions(part, np.arange(images), label.astype(np.int64), logits.astype(np.float32))
