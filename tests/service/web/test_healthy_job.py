"""The page of a job offers the model before any advice if it went well, and the first advice that it can carry out."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from service.api import diagnosis
from service.core.records.epoch import Epoch
from service.core.records.job import Outcome, Status, StopReason
from service.services import Services
from tests.service.web.pages import looks_right, run, submit
from tests.service.worker_steps import claim


def healthy(number: int) -> Epoch:
    """An epoch of a run whose losses fall together and level off."""
    loss = 0.02 + 2.2 * math.exp(-number / 3)
    accuracy = 1 - loss / 5
    return Epoch(number, loss, loss, loss + 0.002, accuracy, accuracy, 0.0, 1e-3, 0.1, 10.0, True, 0)


def handicapped(number: int) -> Epoch:
    """An epoch of a run whose training loss is measured with augmentation, and whose model is right on all images."""
    loss = 0.01 + 2.2 * math.exp(-number / 3)
    accuracy = 1 - loss / 5 if number < 20 else 1.0
    return Epoch(number, loss + 0.5, loss, loss + 0.002, accuracy, accuracy, 0.0, 1e-3, 0.1, 10.0, True, 0)


def train(parts: Services, tmp_path: Path, epoch: Callable[[int], Epoch]) -> None:
    """Train 30 epochs of the next job, and publish its model."""
    lease = claim(parts)
    parts.store.leases.record_facts(
        lease, {"images": {"train": 1438, "validation": 359}, "trivial_loss": 2.3, "trivial_accuracy": 0.1}
    )
    parts.store.leases.append(lease, map(epoch, range(1, 31)))
    (tmp_path / "best_model.pth").write_bytes(b"weights")
    published = parts.storage.put(f"jobs/{lease.job_id}/a1/best_model.pth", tmp_path / "best_model.pth")
    parts.store.leases.finish(lease, Outcome(Status.SUCCEEDED, StopReason.MAX_EPOCHS), [published])


def test_healthy_job_offers_its_model_and_folds_the_advice(
    client: FlaskClient, parts: Services, tmp_path: Path
) -> None:
    job = submit(client, name="cats and dogs", epochs=30, early_stopping=None)
    train(parts, tmp_path, healthy)
    page = looks_right(client, f"/jobs/{job}")
    assert "Why: healthy" in page
    assert page.index("The model is ready.") < page.index("If you want more")
    assert 'download="cats-and-dogs-best_model.pth">Download the model</a>' in page
    assert page.index("If you want more") < page.index("Try first:")


def test_a_model_that_is_right_on_nearly_all_images_comes_first(
    client: FlaskClient, parts: Services, tmp_path: Path
) -> None:
    job = submit(client, epochs=30, early_stopping=None, regularization={"dropout": 0.5})
    train(parts, tmp_path, handicapped)
    page = looks_right(client, f"/jobs/{job}")
    assert "Nearly all right" in page
    assert "The curves: train above validation" in page
    assert page.index("The model is ready.") < page.index("If you want more") < page.index("Try first:")


def test_a_job_without_an_epoch_has_no_curve_and_no_advice(client: FlaskClient) -> None:
    job = submit(client)
    assert client.post(f"/v1/jobs/{job}/cancel").status_code == 202
    page = looks_right(client, f"/jobs/{job}")
    assert "No curve: cancelled while waiting" in page
    assert "It was cancelled before its first epoch was complete." in page
    assert "too short to tell" not in page[page.index('id="diagnosis"') : page.index('id="trying"')]
    assert "Try first:" not in page


def test_the_first_advice_has_a_button(
    client: FlaskClient, parts: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    advice = {"title": "T", "reason": "R", "expected": "E", "verdict": "overfitting", "action": None}
    change = [{"op": "add", "path": "/epochs", "value": 3}]
    real = diagnosis.to_answer
    pieces = [advice | {"id": "pretrained", "patch": []}, advice | {"id": "dropout", "patch": change, "title": "D"}]
    monkeypatch.setattr(diagnosis, "to_answer", lambda *given: {**real(*given), "advice": pieces})
    job = submit(client)
    run(parts, tmp_path)
    page = looks_right(client, f"/jobs/{job}")
    assert "Try first: D" in page
    assert page.count('data-body=\'{"advice": "dropout"}\'') == 1
    assert 'href="/docs/weights">How to get weights</a>' in page


def test_other_jobs_offer_a_cure_first(client: FlaskClient, parts: Services, tmp_path: Path) -> None:
    job = submit(client)
    run(parts, tmp_path)
    page = looks_right(client, f"/jobs/{job}")
    assert "The model is ready." not in page
    assert page.index("Try first:") < page.index("Also:")
    assert page.count("Keep its outputs from growing.") == 1, "a reason is given once"
