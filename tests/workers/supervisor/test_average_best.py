"""A job whose model is the average of its best epochs: what is published and what its owner reads."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from flask.testing import FlaskClient

from service.app import create_app
from service.core.records.facts import Average
from service.core.records.job import Job
from tests.workers.bench import Bench
from tests.workers.training.small import EVERY_REGULARIZATION

CNN = {"arch": "cnn", "channels": [4], "hidden": [8], "norm": "batch"}
NOISY: dict[str, Any] = {
    "dataset": {"id": "digits", "train_limit": 200, "test_fraction": 0.1},
    "model": CNN,
    "optimizer": {"lr": 0.05},
    "epochs": 30,
    "batch_size": 16,
    "regularization": {"average_best": 4},
}


@pytest.fixture
def client(bench: Bench) -> Iterator[FlaskClient]:
    app = create_app(bench.settings)
    yield app.test_client()
    app.extensions["rightfit"].database.close()


def average_of(job: Job) -> Average:
    assert job.facts is not None
    assert job.facts.average is not None
    return job.facts.average


def test_the_published_model_is_the_average(bench: Bench) -> None:
    job, plain = bench.run(**NOISY), bench.run(**NOISY | {"regularization": {}})
    average = average_of(job)
    assert average.is_kept
    assert bench.history(job) == bench.history(plain), "training is the same"
    assert bench.best_model(job) != bench.best_model(plain)
    assert job.best is not None
    assert job.best.val_loss is not None
    assert average.val_loss < job.best.val_loss
    assert job.kept is not None
    assert (job.kept.epoch, job.kept.val_loss) == (job.best.epoch, average.val_loss)
    bench.predictions(job)  # checks that they have the loss of the model that is kept
    report = bench.report(job)
    assert Average.from_dict(report["average"]) == average
    assert report["test"]["optimism"] == pytest.approx(report["test"]["loss"] - average.val_loss)
    assert bench.report(plain)["average"] is None
    (line,) = [
        entry.message for entry in bench.store.queries.log("t", job.id, 0, 100)[1] if "best epochs" in entry.message
    ]
    assert "their average over" in line


def test_the_owner_reads_which_epochs_were_averaged(bench: Bench, client: FlaskClient) -> None:
    job_id = client.post("/v1/jobs", json=NOISY | {"seed": 1}).get_json()["id"]
    assert bench.supervisor.run_next() == job_id
    answers = [client.get(f"/v1/jobs/{job_id}{part}").get_json() for part in ("", "/history", "/diagnosis")]
    average, *others = (answers[0]["facts"]["average"], answers[1]["average"], answers[2]["average"])
    assert others == [average] * 2
    assert len(average["epochs"]) > 1
    assert average["val_loss"] < answers[0]["best"]["val_loss"]
    said = f"The model is the average over the epochs {', '.join(map(str, average['epochs']))}"
    assert said in client.get(f"/jobs/{job_id}").text


@pytest.mark.long  # in the default run, tests/workers/trainer/test_distributed.py averages in two processes
def test_two_processes_average_as_one_does(bench: Bench) -> None:
    options = NOISY | {"regularization": EVERY_REGULARIZATION, "device": "cpu"}
    alone, together = bench.run(**options), bench.run(**options, gpus=2)
    assert together.status == "succeeded", together.error
    assert average_of(together).epochs == average_of(alone).epochs
    assert average_of(together).val_loss == pytest.approx(average_of(alone).val_loss, abs=1e-5)
    one, two = bench.predictions(alone), bench.predictions(together)
    assert torch.tensor(two.logits).allclose(torch.tensor(one.logits), atol=1e-3)
