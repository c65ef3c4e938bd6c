"""Fits while workers, APIs and the broker die: with a budget of jobs, their decisions are the undisturbed ones."""

import random
import threading
import time
from typing import Any

import pytest

from tests.chaos.trial import OF_OWNERS, Trial, act_at_random, actions, deployed

FIT = {
    "dataset": {"id": "digits", "train_limit": 200},
    "jobs": 10,
    "seed": 1,
    "seeds": 2,
    "spec": {"epochs": 24, "model": {"arch": "mlp", "hidden": [32]}, "device": "cpu"},
}
BETWEEN = (8, 20)  # epochs between two acts


def decisions(trial: Trial, key: str) -> list[tuple[Any, ...]]:
    """Run a fit to its end; its steps."""
    fit = trial.ask("POST", "/v1/fits", json=FIT, headers={"Idempotency-Key": key}).json()
    while fit["status"] == "running":
        time.sleep(0.5)
        fit = trial.ask("GET", f"/v1/fits/{fit['id']}").json()
    assert fit["status"] == "succeeded", fit["error"]
    assert fit["budget"]["spent_jobs"] == FIT["jobs"], fit["steps"]
    steps = [(step["what"], step["trial"], step["why"], step["outcome"]) for step in fit["steps"]]
    return [*steps, (fit["best"]["trial"], fit["gain"]["interval"], fit["test"]["loss"])]


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_fit_decides_as_if_nothing_had_died(kind: str) -> None:
    with deployed(kind, seed=1, workers=2) as trial:
        undisturbed = decisions(trial, "undisturbed")
    with deployed(kind, seed=1, workers=2) as trial:
        trial.random = random.Random(2)
        kills = {name: act for name, act in actions(trial).items() if name not in OF_OWNERS}
        over = threading.Event()
        acting = threading.Thread(target=act_at_random, args=(trial, kills, over, BETWEEN), daemon=True)
        acting.start()
        try:
            disturbed = decisions(trial, "disturbed")
        finally:
            over.set()
            acting.join()
        assert sum(trial.done.values()) >= 5
        assert trial.faults == []
    assert disturbed == undisturbed
