"""Replaying a recorded run with other settings, over HTTP."""

import math
from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient

from service.core.records.job import Failure, Outcome, Status, StopReason
from service.core.storage import Artifact
from service.services import Services
from tests.servers import ON_DISK_FIRST
from tests.service.api.requests import expect_problem, submit
from tests.service.worker_steps import claim, epoch

pytestmark = ON_DISK_FIRST

STOPPED = Outcome(Status.SUCCEEDED, StopReason.EARLY_STOPPING)
BEST = Artifact("best_model.pth", "jobs/x/a1/best_model.pth", 3, "abc", "application/octet-stream")
LOSSES = (1.0, 0.8, 0.9, 0.5, 0.6, math.nan)  # patience 2


def ended(
    client: FlaskClient, services: Services, outcome: Outcome = STOPPED, losses: tuple[float, ...] = LOSSES
) -> str:
    """The path of a job that has recorded these losses and ended."""
    job = submit(client, epochs=50, early_stopping={"patience": 2})
    lease = claim(services)
    lowest, history = math.inf, []
    for number, loss in enumerate(losses, start=1):
        history.append(replace(epoch(number, loss, improved=loss < lowest), val_loss_se=0.1, seconds=2.0))
        lowest = min(lowest, loss) if math.isfinite(loss) else lowest
    services.store.leases.append(lease, history)
    services.store.leases.finish(lease, outcome, [BEST] if losses else [])
    path: str = job["links"]["counterfactual"]
    return path


def test_recorded_run_is_replayed_with_every_setting(client: FlaskClient, services: Services) -> None:
    answer = client.get(f"{ended(client, services)}?patience=2,1&min_delta=0,0.35")
    assert answer.status_code == 200, answer.text
    assert answer.json["actual"] == {
        "stop_epoch": 6,
        "stop_reason": "early_stopping",
        "best_epoch": 4,
        "best_val_loss": 0.5,
        "seconds": 12.0,
    }
    first, *_ = replays = answer.json["data"]
    assert [(replay["patience"], replay["min_delta"]) for replay in replays] == [
        (1, 0.0),
        (1, 0.35),
        (2, 0.0),
        (2, 0.35),
    ]
    assert [replay["stop_epoch"] for replay in replays] == [3, 2, 6, 3]
    assert [replay["best_epoch"] for replay in replays] == [2, 2, 4, 2]
    assert first == {
        "patience": 1,
        "min_delta": 0.0,
        "stop_epoch": 3,
        "stop_reason": "early_stopping",
        "beyond_record": False,
        "best_epoch": 2,
        "best_val_loss": 0.8,
        "val_accuracy": 0.8,
        "loss_given_up": pytest.approx(0.3),
        "loss_given_up_se": pytest.approx(0.141421, abs=1e-6),
        "is_beyond_noise": True,
        "epochs_saved": 3,
        "seconds_saved": 6.0,
    }


def test_default_settings_are_replayed_without_a_query(client: FlaskClient, services: Services) -> None:
    replays = client.get(ended(client, services)).json["data"]
    assert [replay["patience"] for replay in replays] == [p for p in (1, 3, 5, 10, 20) for _ in range(3)]
    assert [replay["min_delta"] for replay in replays[:3]] == [0.0, 0.001, 0.01]
    assert [replay["beyond_record"] for replay in replays] == [False] * 3 + [True] * 12
    assert [replay["stop_epoch"] for replay in replays[3:]] == [None] * 12


@pytest.mark.parametrize(
    "outcome",
    [
        Outcome(Status.CANCELLED, StopReason.CANCELLED),
        Outcome(Status.FAILED, StopReason.WORKER_LOST, Failure("infrastructure", "worker_lost", "gone")),
    ],
)
def test_replay_works_for_every_kind_of_end(client: FlaskClient, services: Services, outcome: Outcome) -> None:
    answer = client.get(ended(client, services, outcome))
    assert (answer.status_code, answer.json["actual"]["stop_reason"]) == (200, outcome.stop_reason)


def test_job_that_is_live_or_without_epochs_is_refused(client: FlaskClient, services: Services) -> None:
    assert "is queued; wait" in expect_problem(client.get(submit(client)["links"]["counterfactual"]), 409)["detail"]
    claim(services)
    failed = Outcome(Status.FAILED, StopReason.INVALID_DATA, Failure("data", "invalid_data", "no images"))
    assert "before its first epoch" in expect_problem(client.get(ended(client, services, failed, ())), 409)["detail"]
    expect_problem(client.get("/v1/jobs/job_nothing/counterfactual"), 404)


@pytest.mark.parametrize(
    ("query", "pointers"),
    [
        ("patience=0", ["/patience/0"]),
        ("patience=1,x,100001", ["/patience/1", "/patience/2"]),
        ("patience=1.5", ["/patience/0"]),
        ("patience=1,,2", ["/patience/1"]),
        ("patience=%201", ["/patience/0"]),
        ("patience=", ["/patience/0"]),
        ("patience=" + ",".join(["1"] * 21), ["/patience"]),
        ("min_delta=-1", ["/min_delta/0"]),
        ("min_delta=0,nan,inf,1e999", ["/min_delta/1", "/min_delta/2", "/min_delta/3"]),
        ("min_delta=1_0", ["/min_delta/0"]),
        ("min_delta=" + ",".join(["1"] * 21), ["/min_delta"]),
        ("patience=0&min_delta=-1", ["/patience/0", "/min_delta/0"]),
        ("patient=1", ["/patient"]),
    ],
)
def test_bad_setting_is_refused_with_what_is_allowed(client: FlaskClient, query: str, pointers: list[str]) -> None:
    problem = expect_problem(client.get(f"/v1/jobs/j/counterfactual?{query}"), 422)
    assert [fault["pointer"] for fault in problem["errors"]] == pointers
    assert all(fault["allowed"] for fault in problem["errors"])


def test_numbers_may_be_written_in_several_ways(client: FlaskClient, services: Services) -> None:
    query: dict[str, Any] = {"patience": "100000,7,7", "min_delta": "1e-3,.5,2."}
    replays = client.get(ended(client, services), query_string=query).json["data"]
    assert [(replay["patience"], replay["min_delta"]) for replay in replays] == [
        (p, d) for p in (7, 100_000) for d in (0.001, 0.5, 2.0)
    ]
