"""The command `fit`, and the fits of the client."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import pytest

from service.client import ApiError, Rightfit, fits
from service.core.records.job import Job
from tests.service.api.fits import better_than_the_base, run_to_the_end
from tests.service.cli.commands import Command, document, train_next_job
from tests.service.live import Live

BUDGET = ("--jobs", "3", "--seed", "1")


@pytest.fixture(autouse=True)
def _polls_are_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fits, "PAUSE_SECONDS", 0.05)


def run(live: Live, fit_id: str, folder: Path, loss: Callable[[Job], float] = better_than_the_base) -> None:
    run_to_the_end(live.app, live.parts, fit_id, folder, loss)


def test_a_watched_fit_prints_decisions_and_saves_its_model(rightfit: Command, live: Live, tmp_path: Path) -> None:
    created = document(rightfit("fit", "digits", *BUDGET, "--name", "mine", "--json"))
    assert (created["status"], created["name"], created["budget"]["jobs"]) == ("running", "mine", 3)
    conductor = Thread(target=run, args=(live, created["id"], tmp_path))
    conductor.start()
    watched = rightfit("fit", created["id"], "-o", str(tmp_path / "new" / "kept"))
    conductor.join()
    assert watched.exit_code == 0, watched.output
    assert "1. start trial 1: all other trials are compared with it" in watched.stdout
    assert "  trial 1: val_loss 0.9 after" in watched.stdout
    assert "succeeded, 3 of 3 jobs, best val loss" in watched.stdout
    saved = tmp_path / "new" / "kept"
    assert (saved / "best_model.pth").read_bytes() == b"weights"
    assert (saved / "fit.md").read_text().startswith("# Fit of digits: mine")
    assert f"saved {saved / 'best_model.pth'}" in watched.stdout
    again = document(rightfit("fit", created["id"], "--watch", "--json"))
    assert (again["status"], again["saved"]) == ("succeeded", [])


def test_a_plan_reads_the_base_and_the_space_from_files(rightfit: Command, spec: str, tmp_path: Path) -> None:
    space = tmp_path / "space.yaml"
    space.write_text("/optimizer/lr: {low: 0.001, high: 0.01, log: true}\n")
    planned = rightfit("fit", "digits", "--minutes", "2", "--spec", spec, "--space", str(space), "--plan", "--json")
    assert list(document(planned)["space"]) == ["/optimizer/lr"]
    assert document(planned)["spec"]["epochs"] == 3
    text = rightfit("fit", "digits", "--jobs", "2", "--plan").stdout
    assert "  1. the base" in text
    assert document(rightfit("jobs", "--json")) == {"data": []}


def test_a_plan_knows_the_speed_of_jobs_on_other_data(rightfit: Command, live: Live, tmp_path: Path) -> None:
    rightfit("train", "-", stdin="dataset: {id: digits}")
    train_next_job(live, tmp_path)
    text = rightfit("fit", "fashion-mnist", "--jobs", "2", "--plan").stdout
    assert "estimated from earlier jobs on other data sets" in text, text


def test_a_plan_writes_long_times_without_an_exponent(rightfit: Command, tmp_path: Path) -> None:
    base = tmp_path / "large.yaml"
    base.write_text("{model: {arch: cnn, channels: [512, 512]}, epochs: 10000}")
    text = rightfit("fit", "digits", "--jobs", "2", "--spec", str(base), "--plan").stdout
    assert re.search(r"takes about [0-9]{1,3}(,[0-9]{3})+\.[0-9] s, by arithmetic", text), text


def test_a_fit_without_a_model_ends_with_failure(rightfit: Command, live: Live, tmp_path: Path) -> None:
    created = document(rightfit("fit", "digits", *BUDGET, "--json"))
    assert rightfit("fit", created["id"], "--cancel").exit_code == 0
    run(live, created["id"], tmp_path)
    watched = rightfit("fit", created["id"], "--watch")
    assert watched.exit_code == 1
    assert f"{created['id']}: cancelled" in watched.stdout


def test_every_member_of_a_request_has_an_option(rightfit: Command, live: Live) -> None:
    chosen = ("--objective", "val_accuracy", "--seeds", "2", "--label", "team=a", "--label", "empty=")
    created = document(rightfit("fit", "digits", *BUDGET, *chosen, "--webhook", "https://example.com/", "--json"))
    shown = {name: created[name] for name in ("objective", "seeds", "labels")}
    assert shown == {"objective": "val_accuracy", "seeds": 2, "labels": {"team": "a", "empty": ""}}
    stored = live.parts.fits.get("default", created["id"]).webhook
    assert stored is not None
    assert stored["url"] == "https://example.com/"


def test_what_fits_have_shown_is_printed_and_forgotten(rightfit: Command, live: Live, tmp_path: Path) -> None:
    created = document(rightfit("fit", "digits", "--jobs", "30", "--seed", "1", "--json"))
    run(live, created["id"], tmp_path)
    effects = document(rightfit("learned", "--json"))["data"]
    assert effects
    assert effects[0]["cure"] in rightfit("learned").stdout
    assert document(rightfit("learned", "--clear", "--json")) == {"data": []}
    assert "no fit has completed a trial of a cure" in rightfit("learned").stdout


def test_wrong_uses_of_fit_are_refused(rightfit: Command, tmp_path: Path) -> None:
    wrong = tmp_path / "list.json"
    wrong.write_text(json.dumps([1]))
    assert rightfit("fit", "digits").exit_code == 2
    assert rightfit("fit", "digits", "--minutes", "1", "--jobs", "4").exit_code == 2
    assert rightfit("fit", "digits", *BUDGET, "--cancel").exit_code == 2
    assert rightfit("fit", "digits", *BUDGET, "--space", str(wrong)).exit_code == 2
    assert rightfit("fit", "digits", *BUDGET, "--label", "team").exit_code == 2
    assert rightfit("fit", "fit_1", "--plan").exit_code == 2
    assert rightfit("fit", "fit_1").exit_code == 3
    assert rightfit("fit", "nothing", *BUDGET).exit_code == 3


def test_the_client_waits_for_a_fit_and_downloads_its_model(live: Live, tmp_path: Path) -> None:
    with Rightfit(live.url) as client:
        assert client.fits.plan("digits", minutes=1)["first_trials"][0] == "the base"
        created = client.fits.submit("digits", jobs=3, seed=1, key="once")
        assert client.fits.submit("digits", jobs=3, seed=1, key="once")["id"] == created["id"]
        conductor = Thread(target=run, args=(live, created["id"], tmp_path))
        conductor.start()
        found = client.fit("digits", jobs=3, seed=1, key="once")
        conductor.join()
        assert (found["id"], found["status"]) == (created["id"], "succeeded")
        target = tmp_path / "model.pth"
        client.fits.download(found["id"], "best_model.pth", target)
        assert target.read_bytes() == b"weights"
        assert "## Trials" in client.fits.report(found["id"])
        events = client.fits.events(found["id"])
        assert list(client.fits.stream(found["id"])) == events
        assert (events[0].type, events[-1].data["status"]) == ("step", "succeeded")
        assert [fit["id"] for fit in client.fits.list()] == [found["id"]]
        assert client.fits.cancel(found["id"])["status"] == "succeeded"
        client.fits.delete(found["id"])
        with pytest.raises(ApiError, match="404"):
            client.fits.get(found["id"])
