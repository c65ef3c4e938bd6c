"""Jobs with every verdict, and a fit, an ablation and data sets in every state, for screenshots of all pages."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import httpx

from service.app import create_app
from service.core.records.epoch import Epoch
from service.core.records.job import Outcome, Status, StopReason
from service.core.records.lease import Lease
from service.core.settings import Settings
from service.services import Services
from tests.golden.pictures import EXAMPLES
from tests.golden.runs import FILE
from tests.golden.scoring import history
from tests.pictures import folders, zipped
from tests.ports import eventually

WATCHED = 100  # epochs of the running job before its screenshot
FIT_SECONDS = 180  # the longest wait for the fit
SPEC: dict[str, Any] = {"dataset": {"id": "digits", "train_limit": 100}, "model": {"arch": "mlp", "hidden": [64]}}
JOBS: tuple[dict[str, Any], ...] = (
    {"name": "plain", "epochs": 60, "optimizer": {"lr": 1e-2}, "early_stopping": None, "seed": 1},
    {"name": "dropout", "epochs": 60, "regularization": {"dropout": 0.5}, "seed": 1},
    {
        "name": "diverged",
        "epochs": 60,
        "optimizer": {"name": "sgd", "lr": 10.0, "momentum": 0.99},
        "model": {"arch": "mlp", "hidden": [512] * 6},
        "early_stopping": None,
    },
    {"name": "running", "epochs": 100_000, "early_stopping": None, "labels": {"project": "pictures"}},
    {"name": "waiting", "epochs": 5},
    {"name": "cancelled", "epochs": 5},
    {"name": "paused", "epochs": 5},
)
FIT = {"dataset": {"id": "digits"}, "spec": {"model": {"arch": "mlp"}}, "jobs": 4, "seed": 1, "name": "search"}
ABLATION = {"spec": SPEC | {"epochs": 10}, "factors": ["dropout", "weight_decay"], "seeds": 3}
SETS = {"pets": {**folders(8), "rows/again.png": folders(1)["rows/000.png"]}, "broken": {"rows/1.png": b"no picture"}}


def play_verdicts(settings: Settings, key: str) -> dict[str, str]:
    """The ids of ended jobs, by their verdicts: recorded runs are stored as a worker stores them."""
    app = create_app(settings)
    parts: Services = app.extensions["rightfit"]
    client, given = app.test_client(), {"Authorization": f"Bearer {key}"}
    runs = {(run["set_up"], run["seed"]): run for run in json.loads(FILE.read_text())}
    jobs = {}
    for verdict, example in EXAMPLES.items():
        run = runs[example]
        spec = SPEC | {"name": f"{verdict}".replace("_", " "), "epochs": len(history(run)), "seed": 1}
        jobs[f"{verdict}"] = client.post("/v1/jobs", json=spec, headers=given).get_json()["id"]
        lease = parts.store.leases.claim("worker", 60)
        assert lease is not None
        _play(parts, lease, run)
    parts.database.close()
    return jobs


def _play(parts: Services, lease: Lease, run: Mapping[str, Any]) -> None:
    parts.store.leases.record_facts(lease, run["facts"])
    parts.store.leases.append(lease, _marked(history(run)))
    parts.store.leases.finish(lease, Outcome(Status.SUCCEEDED, StopReason(run["stop_reason"])), [])


def _marked(epochs: list[Epoch]) -> list[Epoch]:
    """The epochs with the mark of a new best loss."""
    best, marked = float("inf"), []
    for epoch in epochs:
        is_best = epoch.val_loss is not None and epoch.val_loss < best
        best = min(best, epoch.val_loss or best)
        marked.append(replace(epoch, improved=is_best))
    return marked


def fill(client: httpx.Client) -> dict[str, str]:
    """The ids of everything that real workers make, by names; one job is still running."""
    ids = {
        name: client.post("/datasets", params={"name": name}, files={"file": ("a.zip", zipped(files))}).json()["id"]
        for name, files in SETS.items()
    }
    ids["fit"] = client.post("/fits", json=FIT).raise_for_status().json()["id"]
    fit = f"/fits/{ids['fit']}"
    eventually(lambda: bool(client.get(fit).json()["status"] != "running"), FIT_SECONDS)
    ids["ablation"] = client.post("/ablations", json=ABLATION).raise_for_status().json()["id"]
    ids |= {job["name"]: client.post("/jobs", json=SPEC | job).raise_for_status().json()["id"] for job in JOBS}
    client.post(f"/jobs/{ids['cancelled']}/cancel").raise_for_status()
    client.post(f"/jobs/{ids['paused']}/pause").raise_for_status()
    running = f"/jobs/{ids['running']}"
    eventually(lambda: bool(client.get(running).json()["progress"]["epoch"] > WATCHED), 120)
    eventually(lambda: all(client.get(f"/datasets/{ids[name]}").json()["status"] != "processing" for name in SETS))
    ids["fit-running"] = client.post("/fits", json=FIT | {"name": "in the queue", "seed": 2}).json()["id"]
    return ids
