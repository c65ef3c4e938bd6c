"""The command `folds`."""

import json
from pathlib import Path

import pytest

from service.client import Rightfit
from service.core.evaluation.predictions import load
from tests.service.cli.commands import Command, document, train_next_job
from tests.service.drawn import drawn
from tests.service.live import Live


@pytest.mark.parametrize("source", ["digits", "SPEC", "-"])
def test_folds_take_a_data_set_or_a_spec(rightfit: Command, spec: str, source: str) -> None:
    given = spec if source == "SPEC" else source
    planned = rightfit(
        "folds", given, "--folds", "3", "--seeds", "2", "--set", "seed=4", "--plan", stdin=Path(spec).read_text()
    )
    assert "6 jobs with" in planned.stdout
    assert document(rightfit("jobs", "--json")) == {"data": []}


def test_watched_folds_show_each_run_and_the_scores(rightfit: Command, live: Live, spec: str, tmp_path: Path) -> None:
    created = document(rightfit("folds", spec, "--folds", "2", "--json"))
    for loss in (0.4, 0.5):
        train_next_job(live, tmp_path, (loss,), drawn(20, 10))
    watched = rightfit("folds", created["id"], "--watch")
    assert watched.exit_code == 0
    assert f"{created['runs'][1]['id']}: fold 1 of seed" in watched.stdout
    assert "val loss 0.5" in watched.stdout
    assert f"{created['id']}: done. Mean of 2 runs" in watched.stdout
    assert "balanced accuracy" in watched.stdout
    assert document(rightfit("folds", created["id"], "--json"))["scores"][0]["mean"] == 0.45
    with Rightfit(live.url) as client:
        assert client.folds.wait(created["id"])["status"] == "done"
        assert client.folds.evaluation(created["id"], mistakes=1)["images"] == 40
        client.folds.download(created["id"], tmp_path / "all.npz")
        assert [found["id"] for found in client.folds.list()] == [created["id"]]
        client.folds.delete(created["id"])
        assert client.folds.list() == []
    assert len(load(tmp_path / "all.npz")) == 40


def test_cancelled_folds_end_watching_with_failure(rightfit: Command, spec: str) -> None:
    folds_id = json.loads(rightfit("folds", spec, "--json").stdout)["id"]
    assert f"{folds_id}: cancelled" in rightfit("folds", folds_id, "--cancel").stdout
    assert rightfit("folds", folds_id, "--watch").exit_code == 1


def test_wrong_uses_of_folds_are_refused(rightfit: Command, spec: str) -> None:
    assert rightfit("folds", spec, "--cancel").exit_code == 2
    assert rightfit("folds", "fld_1", "--plan").exit_code == 2
    assert rightfit("folds", spec, "--folds", "1").exit_code == 2
    assert rightfit("folds", "nothing").exit_code == 3
