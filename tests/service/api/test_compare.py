"""Comparisons of jobs over HTTP."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient

from service.core.evaluation.outcomes import outcomes
from service.core.evaluation.predictions import TEST, VALIDATION, Predictions, joined
from service.core.records.artifact_names import PREDICTIONS
from service.core.records.job import Outcome, Status, StopReason
from service.core.storage import Artifact
from service.services import Services
from tests.servers import ON_DISK
from tests.service.api.requests import expect_problem, submit
from tests.service.drawn import drawn
from tests.service.worker_steps import claim, epoch, published_predictions

BEST = Artifact("best_model.pth", "jobs/x/a1/best_model.pth", 3, "abc", "application/octet-stream")


def ended(
    client: FlaskClient, services: Services, loss: float, predictions: Predictions | None = None, **changes: Any
) -> str:
    """The id of an ended job with this best val_loss, of the first of two epochs, over 400 validation images."""
    job_id: str = submit(client, **changes)["id"]
    lease = claim(services)
    services.store.leases.record_facts(
        lease, {"images": {"train": 800, "validation": 400}, "trivial_loss": 2.3, "trivial_accuracy": 0.1}
    )
    improved = replace(epoch(1, loss, improved=True), val_loss_se=0.01, seconds=3.0)
    services.store.leases.append(lease, [improved, replace(epoch(2, 1.0), seconds=1.0)])
    published = [BEST] if predictions is None else [BEST, published_predictions(services, lease, predictions)]
    services.store.leases.finish(lease, Outcome(Status.SUCCEEDED, StopReason.MAX_EPOCHS), published)
    return job_id


def worse(predictions: Predictions, seed: int = 1) -> Predictions:
    """The predictions of another model on the same images."""
    noise = np.random.default_rng(seed).normal(0, 0.5, predictions.logits.shape).astype(np.float32)
    return replace(predictions, logits=predictions.logits + noise)


def test_jobs_with_predictions_of_the_same_images_are_paired(client: FlaskClient, services: Services) -> None:
    first = joined(drawn(400), drawn(100, seed=1, part=TEST))
    ids = [ended(client, services, loss, one, seed=1) for loss, one in ((0.5, first), (0.52, worse(first)))]
    (difference,) = client.get(f"/v1/compare?jobs={','.join(ids)}").json["differences"]
    losses = [outcomes(one.of(VALIDATION)).loss for one in (first, worse(first))]
    assert (difference["paired"], difference["images"], difference["same_split"]) == (True, 400, True)
    assert difference["val_loss"] == pytest.approx((losses[1] - losses[0]).mean())
    assert difference["standard_error"] == pytest.approx((losses[1] - losses[0]).std(ddof=1) / 20)
    as_two_samples = (losses[0].var(ddof=1) + losses[1].var(ddof=1)) ** 0.5 / 20
    assert difference["standard_error"] < 0.6 * as_two_samples
    assert "paired" in difference["note"]
    right = [outcomes(one.of(VALIDATION)).is_right for one in (first, worse(first))]
    assert difference["mcnemar"]["lost"] == (right[0] & ~right[1]).sum() > 0
    assert difference["accuracy_points"] == pytest.approx(100 * (right[1].mean() - right[0].mean()))
    assert (difference["test"]["paired"], difference["test"]["images"]) == (True, 100)


def test_predictions_of_other_images_are_not_paired(client: FlaskClient, services: Services) -> None:
    first, other = drawn(400), drawn(400, seed=2)
    moved = replace(other, index=other.index + 1)
    ids = [ended(client, services, 0.5, one, seed=seed) for seed, one in enumerate((first, moved))]
    ids.append(ended(client, services, 0.5, seed=1))
    for difference in client.get(f"/v1/compare?jobs={','.join(ids)}").json["differences"]:
        assert (difference["paired"], difference["mcnemar"], difference["test"]) == (False, None, None)
        assert difference["standard_error"] == pytest.approx(0.0141421, abs=1e-7)


def test_lost_predictions_leave_the_comparison_of_two_samples(client: FlaskClient, services: Services) -> None:
    ids = [ended(client, services, loss, drawn(400, seed=seed), seed=1) for seed, loss in enumerate((0.5, 0.4))]
    (file,) = services.store.queries.published("default", ids[:1], PREDICTIONS).values()
    services.storage.delete(file.key)
    answer = client.get(f"/v1/compare?jobs={','.join(ids)}")
    assert (answer.status_code, answer.json["differences"][0]["paired"]) == (200, False)


def test_two_jobs_differ_in_spec_and_result(client: FlaskClient, services: Services) -> None:
    first = ended(client, services, 0.5, seed=1, name="plain")
    other = ended(client, services, 0.4, seed=1, regularization={"dropout": 0.25})
    answer = client.get(f"/v1/compare?jobs={first},{other}")
    assert answer.status_code == 200, answer.text
    compared = answer.json
    assert compared["spec"] == [{"pointer": "/regularization/dropout", "values": {first: 0.0, other: 0.25}}]
    assert compared["jobs"][0] == {
        "id": first,
        "name": "plain",
        "status": "succeeded",
        "stop_reason": "max_epochs",
        "epochs": 2,
        "seconds": 4.0,
        "best": {"epoch": 1, "val_loss": 0.5, "val_accuracy": 0.8, "val_loss_se": 0.01},
        "waste": {"epochs": 1, "seconds": 1.0, "images": 800, "share": 0.25, "joules": None},
        "same_split_as_first": True,
    }
    (difference,) = compared["differences"]
    assert (difference["job"], difference["against"], difference["same_split"]) == (other, first, True)
    assert difference["val_loss"] == pytest.approx(-0.1)
    assert difference["standard_error"] == pytest.approx(0.0141421, abs=1e-7), "0.01 for each job"
    assert difference["interval"] == pytest.approx([-0.1277, -0.0723], abs=1e-4)
    assert difference["accuracy_points"] == 0
    assert difference["accuracy_standard_error"] == pytest.approx(2.828427), "accuracy 0.8 of 400 images, twice"
    assert difference["verdict"] == "better beyond noise"
    assert difference["better_probability"] > 0.975
    (sentence,) = compared["summary"]
    assert sentence == (
        f"{other} against {first}: /regularization/dropout 0.0 → 0.25; best val_loss 0.5000 → 0.4000 "
        "(-0.1000 ± 0.0277 (95 %)): better beyond noise. Accuracy there 80.0% → 80.0%."
    )


def test_jobs_are_compared_with_the_first_one_in_the_query(client: FlaskClient, services: Services) -> None:
    old, new = ended(client, services, 0.5, seed=1), ended(client, services, 0.501, seed=2)
    waiting = submit(client, seed=1)["id"]
    compared = client.get(f"/v1/compare?jobs={new},{waiting},{old}").json
    assert [job["id"] for job in compared["jobs"]] == [new, waiting, old]
    assert [job["same_split_as_first"] for job in compared["jobs"]] == [True, False, False]
    assert (compared["jobs"][1]["seconds"], compared["jobs"][1]["best"], compared["jobs"][1]["waste"]) == (
        0,
        None,
        None,
    )
    assert [d["verdict"] for d in compared["differences"]] == ["cannot be told", "no difference beyond noise"]
    assert f"not ended yet: {waiting}" in compared["differences"][0]["note"]


def test_unknown_job_is_named(client: FlaskClient) -> None:
    known = submit(client)["id"]
    assert "'job_nothing'" in expect_problem(client.get(f"/v1/compare?jobs={known},job_nothing"), 404)["detail"]


@ON_DISK
@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("", "/jobs"),
        ("?jobs=", "/jobs"),
        ("?jobs=a", "/jobs"),
        ("?jobs=a,b,a", "/jobs"),
        ("?jobs=a,b,c,d,e,f,g,h,i", "/jobs"),
        ("?jobs=a,,b", "/jobs/1"),
        ("?jobs=a,b%00", "/jobs/1"),
        ("?jobs=a,b/c", "/jobs/1"),
        ("?job=a,b", "/job"),
    ],
)
def test_bad_query_is_refused_with_what_is_allowed(client: FlaskClient, query: str, pointer: str) -> None:
    problem = expect_problem(client.get(f"/v1/compare{query}"), 422)
    assert pointer in [fault["pointer"] for fault in problem["errors"]]
    assert all(fault["allowed"] for fault in problem["errors"])
