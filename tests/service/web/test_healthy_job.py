"""The page of a job that went well offers the model before any advice."""

import math
from pathlib import Path

from flask.testing import FlaskClient

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


def test_healthy_job_offers_its_model_and_folds_the_advice(
    client: FlaskClient, parts: Services, tmp_path: Path
) -> None:
    job = submit(client, name="cats and dogs", epochs=30, early_stopping=None)
    lease = claim(parts)
    parts.store.leases.record_facts(
        lease, {"images": {"train": 1438, "validation": 359}, "trivial_loss": 2.3, "trivial_accuracy": 0.1}
    )
    parts.store.leases.append(lease, map(healthy, range(1, 31)))
    (tmp_path / "best_model.pth").write_bytes(b"weights")
    published = parts.storage.put(f"jobs/{job}/a1/best_model.pth", tmp_path / "best_model.pth")
    parts.store.leases.finish(lease, Outcome(Status.SUCCEEDED, StopReason.MAX_EPOCHS), [published])
    page = looks_right(client, f"/jobs/{job}")
    assert "Why: healthy" in page
    assert page.index("The model is ready.") < page.index("If you want more")
    assert 'download="cats-and-dogs-best_model.pth">Download the model</a>' in page
    assert page.index("If you want more") < page.index("Try first:")


def test_other_jobs_offer_a_cure_first(client: FlaskClient, parts: Services, tmp_path: Path) -> None:
    job = submit(client)
    run(parts, tmp_path)
    page = looks_right(client, f"/jobs/{job}")
    assert "The model is ready." not in page
    assert page.index("Try first:") < page.index("Also:")
