"""Fits from the request to the model that is kept, with the workers' part played by the test."""

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update

from service.conductor.conductor import Conductor, conduct
from service.core.errors import LeaseLost
from service.core.records.fit import BASE
from service.core.records.job import Job, Status
from service.core.sql.tables import fits
from service.services import Services
from tests.servers import ON_DISK_FIRST
from tests.service.api.fits import REQUEST, Loss, better_than_the_base, run_to_the_end, train
from tests.service.api.requests import expect_problem

LAPSED = -1.0  # seconds of a lease that has ended; the clock of SQLite counts milliseconds

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"jobs": None}, "/minutes"),
    ({"minutes": 5}, "/minutes"),
    ({"jobs": 1}, "/jobs"),
    ({"dataset": {"id": "nothing"}}, "/dataset/id"),
    ({"dataset": {"id": "digits", "fold": {"of": 5, "index": 0}}}, "/dataset/fold"),
    ({"spec": {"epochs": 0}}, "/spec/epochs"),
    ({"spec": {"seed": 1}}, "/spec/seed"),
    ({"spec": {"early_stopping": None}}, "/spec/early_stopping"),
    ({"spec": {"early_stopping": {"monitor": "val_accuracy"}}}, "/spec/early_stopping/monitor"),
    ({"spec": {"model": {"arch": "cnn", "channels": [1] * 9}}}, "/spec/model/channels"),
    ({"space": {}}, "/space"),
    ({"space": "all"}, "/space"),
    ({"space": {"/optimizer/lr": {"low": 1, "high": 0}}}, "/space/~1optimizer~1lr/high"),
    ({"space": {"/optimizer/lr": {"low": 0, "high": 1, "log": True}}}, "/space/~1optimizer~1lr/low"),
    ({"space": {"/optimizer/lr": {"low": 1, "high": 99}}}, "/space/~1optimizer~1lr"),
    ({"space": {"/optimizer/rate": {"low": 0.1, "high": 0.2}}}, "/space/~1optimizer~1rate"),
    ({"space": {"optimizer/lr": {"low": 0.1, "high": 0.2}}}, "/space/optimizer~1lr"),
    ({"space": {"/a~2": {"choices": [1]}}}, "/space/~1a~02"),
    ({"space": {"/dataset/val_fraction": {"low": 0.1, "high": 0.2}}}, "/space/~1dataset~1val_fraction"),
    ({"space": {"/batch_size": {"choices": []}}}, "/space/~1batch_size/choices"),
    ({"objective": "speed"}, "/objective"),
    ({"seeds": 0}, "/seeds"),
]


def create(client: FlaskClient, **given: Any) -> dict[str, Any]:
    answer = client.post("/v1/fits", json={**REQUEST, **given})
    assert answer.status_code == 202, answer.json
    created: dict[str, Any] = answer.get_json()
    return created


def test_a_fit_keeps_the_trial_that_is_proved_to_be_better(
    app: Flask, client: FlaskClient, services: Services, tmp_path: Path
) -> None:
    created = create(client, name="mine", labels={"team": "a"})
    assert (created["status"], created["phase"], created["best"], created["gain"]) == ("running", "search", None, None)
    run_to_the_end(app, services, created["id"], tmp_path)
    fit = client.get(created["links"]["self"]).json
    assert (fit["status"], fit["phase"], fit["error"]) == ("succeeded", None, None)
    assert fit["budget"]["spent_jobs"] == fit["budget"]["jobs"] == 12
    assert fit["best"]["val_loss"] < fit["base"]["val_loss"]
    low, high = fit["gain"]["interval"]
    assert low <= fit["gain"]["val_loss"] <= high < 0
    assert fit["gain"]["is_proved"]
    assert fit["leaderboard"][0]["state"] == "kept"
    assert fit["leaderboard"][0]["trial"] == fit["best"]["trial"]
    assert fit["test"]["images"] == 300
    assert fit["test"]["loss_interval"][0] < fit["test"]["loss"] < fit["test"]["loss_interval"][1]
    assert f"Trial {fit['best']['trial']} is kept." in fit["summary"]
    assert fit["gain"]["looks"] == 2, "the best one of several leaders has half of the 5 %"
    assert fit["gain"]["images"] == 200


@ON_DISK_FIRST
def test_trials_are_ordinary_jobs_that_pause_and_go_on(
    app: Flask, client: FlaskClient, services: Services, tmp_path: Path
) -> None:
    created = create(client)
    run_to_the_end(app, services, created["id"], tmp_path)
    jobs = client.get("/v1/jobs?limit=100").json["data"]
    assert {job["fit"] for job in jobs} == {created["id"]}
    assert len({job["spec"]["name"] for job in jobs}) == len(jobs), "no two have one name"
    states = Counter(each["state"] for each in client.get(created["links"]["self"]).json["leaderboard"])
    assert states["stopped early"] >= 2
    assert states["kept"] == 1
    promoted = [step for step in client.get(created["links"]["self"]).json["steps"] if step["what"] == "promote"]
    assert promoted
    epochs = {job["id"]: job["progress"]["epoch"] for job in jobs}
    assert all(epochs[step["job"]] == 100 for step in promoted)
    assert created["folds"] == 5, "fewer than 1,000 validation images"
    for step in (step for step in client.get(created["links"]["self"]).json["steps"] if step["job"]):
        spec = client.get(f"/v1/jobs/{step['job']}").json["spec"]
        repeat = spec["seed"] - 1
        assert spec["dataset"]["fold"] == {"of": 5, "index": repeat}
        assert spec["dataset"]["split_seed"] == 1, "all trainings have one division into folds"
        assert (repeat > 0) == (step["what"] == "repeat")


@ON_DISK_FIRST
def test_test_images_reach_neither_decisions_nor_trials(
    app: Flask, client: FlaskClient, services: Services, tmp_path: Path
) -> None:
    def chosen(on_test: Loss) -> tuple[dict[str, Any], Any]:
        fit = create(client)
        run_to_the_end(app, services, fit["id"], tmp_path, on_test=on_test)
        ended = client.get(fit["links"]["self"]).json
        client.delete(fit["links"]["self"])  # the next fit would learn from it
        steps = [(step["what"], step["trial"], step["why"], step["outcome"]) for step in ended["steps"]]
        board = [{name: value for name, value in each.items() if name != "job"} for each in ended["leaderboard"]]
        return ended["test"], (steps, board, ended["best"]["trial"], ended["gain"], ended["importance"])

    as_validation, first = chosen(better_than_the_base)
    reversed_, second = chosen(lambda job: 1.5 - better_than_the_base(job))
    assert first == second
    assert as_validation["loss"] != reversed_["loss"]


@ON_DISK_FIRST
def test_test_images_are_scored_once_for_what_is_kept(
    app: Flask, client: FlaskClient, services: Services, tmp_path: Path
) -> None:
    created = create(client)
    run_to_the_end(app, services, created["id"], tmp_path)
    fit = client.get(created["links"]["self"]).json
    ids = [job["id"] for job in client.get("/v1/jobs?limit=100").json["data"]]
    assert [each for each in ids if _is_tested(services, each)] == [fit["test"]["job"]]
    (step,) = (step for step in fit["steps"] if step["what"] == "test")
    assert (step["job"], step["trial"], step["outcome"]) == (fit["test"]["job"], fit["best"]["trial"], "scored")
    assert fit["budget"]["spent_jobs"] == len(ids) - 1


def _is_tested(services: Services, job_id: str) -> bool:
    facts = services.store.queries.get("default", job_id).facts
    return facts is not None and facts.test is not None


@ON_DISK_FIRST
def test_a_scoring_that_fails_leaves_the_fit_its_model(
    app: Flask, client: FlaskClient, services: Services, tmp_path: Path
) -> None:
    created, conductor = create(client, jobs=2), Conductor(app)
    with app.app_context():
        for _ in range(2):
            train(services, tmp_path, better_than_the_base)
            conductor.turn()
        scoring = client.get(created["links"]["self"]).json["steps"][-1]["job"]
        assert client.post(f"/v1/jobs/{scoring}/pause").status_code == 202
        conductor.turn()
    fit = client.get(created["links"]["self"]).json
    assert (fit["status"], fit["test"]) == ("succeeded", None)
    assert fit["best"]
    assert fit["steps"][-1]["outcome"] == "it was paused by its owner"
    assert not client.get("/v1/jobs?status=paused").json["data"]


@ON_DISK_FIRST
def test_without_a_proved_gain_the_base_is_kept(
    app: Flask, client: FlaskClient, services: Services, tmp_path: Path
) -> None:
    created = create(client)
    run_to_the_end(app, services, created["id"], tmp_path, lambda job: 0.9)
    fit = client.get(created["links"]["self"]).json
    assert fit["best"]["trial"] == fit["base"]["trial"] == 1
    assert not fit["gain"]["is_proved"]
    assert "The base is kept." in fit["summary"]


@ON_DISK_FIRST
def test_a_model_that_only_guesses_is_no_gain(
    app: Flask, client: FlaskClient, services: Services, tmp_path: Path
) -> None:
    created = create(client)
    run_to_the_end(app, services, created["id"], tmp_path, lambda job: 2.9 if job.trial == 1 else 2.4)
    fit = client.get(created["links"]["self"]).json
    assert fit["best"]["trial"] == 1
    assert not fit["gain"]["beats_guessing"]
    assert "better than guessing" in fit["summary"]


@pytest.mark.parametrize(("act", "why"), [("cancel", "it was cancelled"), ("pause", "it was paused by its owner")])
@ON_DISK_FIRST
def test_a_base_without_a_result_ends_the_fit_with_its_reason(
    app: Flask, client: FlaskClient, services: Services, tmp_path: Path, act: str, why: str
) -> None:
    created = create(client)
    base = created["steps"][0]["job"]
    client.post(f"/v1/jobs/{base}/{act}")
    run_to_the_end(app, services, created["id"], tmp_path)
    fit = client.get(created["links"]["self"]).json
    assert (fit["status"], fit["best"]) == ("failed", None)
    assert fit["error"]["detail"] == f"the base has no complete epoch: {why}"
    expect_problem(client.get(f"{created['links']['self']}/artifacts/best_model.pth"), 404)


@ON_DISK_FIRST
def test_a_lucky_leader_does_not_hide_a_better_one(
    app: Flask, client: FlaskClient, services: Services, tmp_path: Path
) -> None:
    lucky = 3

    def loss(job: Job) -> float:
        """Trial 3 is the best on the first fold and like the base on all others."""
        if job.trial != lucky:
            return better_than_the_base(job)
        return 0.2 if job.spec.seed == REQUEST["seed"] else 0.9

    created = create(client)
    run_to_the_end(app, services, created["id"], tmp_path, loss)
    fit = client.get(created["links"]["self"]).json
    repeated = {step["trial"] for step in fit["steps"] if step["what"] == "repeat"}
    assert lucky in repeated
    assert fit["best"]["trial"] in repeated - {BASE, lucky}
    assert fit["gain"]["is_proved"]


@ON_DISK_FIRST
def test_the_files_of_the_kept_model_and_the_report(
    app: Flask, client: FlaskClient, services: Services, tmp_path: Path
) -> None:
    created = create(client, name="a|b")
    files = created["links"]["artifacts"]
    expect_problem(client.get(f"{files}/best_model.pth"), 409)
    run_to_the_end(app, services, created["id"], tmp_path)
    with client.get(f"{files}/best_model.pth") as answer:
        assert answer.data == b"weights"
    assert {entry["name"] for entry in client.get(files).json["data"]} == {"best_model.pth", "predictions.npz"}
    answer = client.get(created["links"]["report"])
    assert answer.mimetype == "text/markdown"
    for words in ("## What is proved", "## Trials", "## Decisions", "Bonferroni", "300 test images"):
        assert words in answer.text
    assert "rows: label, columns: prediction" in answer.text, "the confusion matrix"
    assert re.search(r"The base alone took [\d.]+ s: \d+% of it", answer.text)
    assert re.search(r"\| 0\.\d \| \d+ \| \d+ \| 0\.\d+ \|", answer.text), "losses over time"
    fit = client.get(created["links"]["self"]).json
    for model in (fit["base"], fit["best"]):
        for name in ("val_loss", "val_accuracy"):
            low, high = model[f"{name}_interval"]
            assert low <= high
    low, high = fit["best"]["val_loss_interval"]
    assert f"({low:.4g} to {high:.4g})" in answer.text


def test_a_cancelled_fit_keeps_its_best_so_far(
    app: Flask, client: FlaskClient, services: Services, tmp_path: Path
) -> None:
    created = create(client)
    with app.app_context():
        conductor = Conductor(app)
        train(services, tmp_path, lambda job: 0.9)
        conductor.turn()
        train(services, tmp_path, lambda job: 0.5)
        conductor.turn()
        assert client.post(created["links"]["cancel"]).status_code == 202
        conductor.turn()
    fit = client.get(created["links"]["self"]).json
    assert fit["status"] == "cancelled"
    assert fit["best"]["val_loss"] == 0.5
    assert not client.get("/v1/jobs?status=running&status=queued&status=paused").json["data"]
    assert client.post(created["links"]["cancel"]).status_code == 200


def test_a_conductor_that_lost_its_lease_changes_nothing(
    app: Flask, client: FlaskClient, services: Services, tmp_path: Path
) -> None:
    created = create(client)
    with app.app_context():
        first = services.fit_leases.claim(LAPSED)
        second = services.fit_leases.claim(60.0)
        assert first is not None
        assert second is not None
        before = client.get(created["links"]["self"]).json
        with pytest.raises(LeaseLost):
            services.fit_leases.settle(first, {})
        train(services, tmp_path, lambda job: 0.9)
        with pytest.raises(LeaseLost):
            conduct(first)
        assert client.get(created["links"]["self"]).json["steps"] == before["steps"]
        conduct(second)
        assert len(client.get(created["links"]["self"]).json["steps"]) > len(before["steps"])
        assert services.fit_leases.claim(60.0) is None, "it is conducted"


def test_whichever_process_conducts_the_decisions_are_the_same(
    app: Flask, client: FlaskClient, services: Services, tmp_path: Path
) -> None:
    def decisions(fit: dict[str, Any]) -> list[Any]:
        steps = client.get(fit["links"]["self"]).json["steps"]
        return [(step["what"], step["trial"], step["why"], step["outcome"]) for step in steps]

    steady = create(client)
    run_to_the_end(app, services, steady["id"], tmp_path)
    expected = decisions(steady)
    client.delete(steady["links"]["self"])  # the next fit would learn from it
    changing = create(client)
    with app.app_context():
        while not services.fits.get("default", changing["id"]).is_terminal:
            lease = services.fit_leases.claim(LAPSED)  # each step is made by another process
            if lease is not None:
                conduct(lease)
            if services.store.queries.counts("default").get(Status.QUEUED):
                train(services, tmp_path, better_than_the_base)
    assert decisions(changing) == expected


def test_a_request_that_is_sent_again_gets_the_same_fit(client: FlaskClient) -> None:
    headers = {"Idempotency-Key": "one"}
    first = client.post("/v1/fits", json=REQUEST, headers=headers)
    again = client.post("/v1/fits", json=REQUEST, headers=headers)
    assert again.json["id"] == first.json["id"]
    assert again.headers["Idempotency-Replayed"] == "true"
    assert len(client.get("/v1/fits").json["data"]) == 1
    other = client.post("/v1/fits", json={**REQUEST, "jobs": 13}, headers=headers)
    expect_problem(other, 422)


def test_a_plan_says_what_would_be_tried(client: FlaskClient) -> None:
    answer = client.post("/v1/fits?validate_only=true", json=REQUEST)
    assert answer.status_code == 200
    plan = answer.json
    assert plan["first_trials"][0] == "the base"
    assert "/optimizer/lr" in plan["space"]
    assert plan["parameters"] > 0
    assert client.get("/v1/fits").json["data"] == []


def test_a_plan_says_what_a_trial_costs(client: FlaskClient, services: Services, tmp_path: Path) -> None:
    def cost(**given: Any) -> dict[str, Any]:
        planned = client.post("/v1/fits?validate_only=true", json={**REQUEST, **given})
        found: dict[str, Any] = planned.json["trial_cost"]
        return found

    assert cost()["source"] == "arithmetic"
    assert cost()["epochs"] == 100
    assert cost()["seconds"] == pytest.approx(100 * cost()["epoch_seconds"])
    wide = {"spec": {"model": {"arch": "cnn", "channels": [256, 256]}}}
    assert cost(**wide)["seconds"] > cost()["seconds"]
    views = {"spec": {"test_time_augmentation": "mirror_shift"}}
    assert cost(**views)["seconds"] > cost()["seconds"]
    create(client)
    train(services, tmp_path, better_than_the_base)  # each epoch takes 0.1 seconds
    assert cost()["source"] == "history"
    assert cost()["epoch_seconds"] == pytest.approx(1.6 * 0.1), "the recipe has a network of the same size"
    small = {"spec": {"model": {"arch": "cnn", "channels": [4, 8]}}}
    assert cost(**small)["epoch_seconds"] > cost()["epoch_seconds"] / 2, "the recipe is larger than this base"
    short = cost(jobs=None, minutes=1)
    assert short["seconds"] < 60


def test_a_tiny_job_does_not_make_a_trial_look_long(client: FlaskClient, services: Services, tmp_path: Path) -> None:
    tiny = {"dataset": {"id": "digits", "train_limit": 50}, "model": {"arch": "mlp", "hidden": [8]}, "epochs": 1}
    assert client.post("/v1/jobs", json=tiny).status_code == 202
    train(services, tmp_path, better_than_the_base)  # the epoch takes 0.1 seconds
    plan = client.post("/v1/fits?validate_only=true", json=REQUEST).json
    assert plan["trial_cost"]["source"] == "history"
    assert 1 < plan["trial_cost"]["epoch_seconds"] < 20, "most of its time was for the images, not for its products"


@ON_DISK_FIRST
def test_a_space_by_hand_is_the_only_one(app: Flask, client: FlaskClient, services: Services, tmp_path: Path) -> None:
    space = {"/optimizer/lr": {"low": 1e-4, "high": 1e-2, "log": True}, "/batch_size": {"low": 16, "high": 64}}
    created = create(client, space=space, jobs=6)
    run_to_the_end(app, services, created["id"], tmp_path)
    sampled = [each for each in client.get(created["links"]["self"]).json["leaderboard"] if each["source"] == "sampler"]
    assert sampled
    for each in sampled:
        values = {step["path"]: step["value"] for step in each["patch"]}
        assert set(values) == set(space)
        assert 1e-4 <= values["/optimizer/lr"] <= 1e-2
        assert isinstance(values["/batch_size"], int)


def test_what_a_fit_cannot_be_is_refused_at_its_place(client: FlaskClient) -> None:
    for given, pointer in REFUSED:
        problem = expect_problem(client.post("/v1/fits", json={**REQUEST, **given}), 422)
        assert pointer in [fault["pointer"] for fault in problem["errors"]], given
    assert client.get("/v1/fits").json["data"] == []


def test_an_ensemble_is_made_for_those_who_ask(
    app: Flask, client: FlaskClient, services: Services, tmp_path: Path
) -> None:
    created = create(client, ensemble=True)
    address = f"{created['links']['artifacts']}/ensemble.zip"
    expect_problem(client.get(address), 404)
    run_to_the_end(app, services, created["id"], tmp_path)
    assert client.get(created["links"]["self"]).json["ensemble"] is None, "all models make the same mistakes"
    assert "no ensemble" in expect_problem(client.get(address), 404)["detail"]


def test_an_ended_fit_is_deleted_and_its_jobs_stay(
    app: Flask, client: FlaskClient, services: Services, tmp_path: Path
) -> None:
    created = create(client, jobs=2)
    expect_problem(client.delete(created["links"]["self"]), 409)
    run_to_the_end(app, services, created["id"], tmp_path)
    assert client.delete(created["links"]["self"]).status_code == 204
    expect_problem(client.get(created["links"]["self"]), 404)
    assert len(client.get("/v1/jobs").json["data"]) == 3, "one job scores the test images"


def test_fits_of_another_tenant_do_not_exist(client: FlaskClient, services: Services) -> None:
    created = create(client)
    page = services.fits.list("somebody", 20)
    assert page.items == ()
    assert services.fits.jobs_of("somebody", created["id"]) == ()


@ON_DISK_FIRST
def test_the_next_fit_starts_from_what_the_last_one_kept(
    app: Flask, client: FlaskClient, services: Services, tmp_path: Path
) -> None:
    first = create(client)
    run_to_the_end(app, services, first["id"], tmp_path)
    kept = client.get(first["links"]["self"]).json["best"]["patch"]
    second = create(client)
    run_to_the_end(app, services, second["id"], tmp_path)
    board = {each["trial"]: each for each in client.get(second["links"]["self"]).json["leaderboard"]}
    assert board[2]["source"] == "earlier"
    of_finals = ("/epochs", "/regularization/average_best", "/test_time_augmentation")
    assert board[2]["patch"] == [step for step in kept if step["path"] not in of_finals]
    other = client.post("/v1/fits?validate_only=true", json={**REQUEST, "spec": {"model": {"arch": "mlp"}}}).json
    assert not any("similar data" in words for words in other["first_trials"])


def test_what_cures_did_is_shown_until_the_fits_are_deleted(
    app: Flask, client: FlaskClient, services: Services, tmp_path: Path
) -> None:
    created = create(client, jobs=30)
    run_to_the_end(app, services, created["id"], tmp_path)
    effects = client.get("/v1/fits/learned").json["data"]
    assert effects
    assert all(effect["better"] <= effect["trials"] for effect in effects)
    assert [effect["mean"] for effect in effects] == sorted(effect["mean"] for effect in effects)
    client.delete(created["links"]["self"])
    assert client.get("/v1/fits/learned").json["data"] == []


@ON_DISK_FIRST
def test_what_fits_have_shown_orders_advice_until_it_is_cleared(
    app: Flask, client: FlaskClient, services: Services, tmp_path: Path
) -> None:
    created = create(client, jobs=30)
    base = created["steps"][0]["job"]

    def advice() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = client.get(f"/v1/jobs/{base}/diagnosis").json["advice"]
        return found

    def cures_raise_the_loss(job: Job) -> float:
        is_as_long = job.spec.epochs == created["spec"]["epochs"]  # longer training is not the effect of a cure
        return 0.9 if job.trial == 1 else 0.95 if is_as_long and _is_cure(services, job) else 1.5

    run_to_the_end(app, services, created["id"], tmp_path, cures_raise_the_loss)
    tried = [effect["cure"] for effect in client.get("/v1/fits/learned").json["data"]]
    assert tried
    learned = advice()
    assert client.delete("/v1/fits/learned").status_code == 204
    assert client.get(created["links"]["self"]).status_code == 200, "the fit stays"
    assert client.get("/v1/fits/learned").json["data"] == []
    before = advice()
    worse = [each["id"] for each in before if each["id"] in tried]
    assert worse, (before, tried)
    assert _places(learned, worse) > _places(before, worse)
    assert not any("In your fits" in each["reason"] for each in before)
    assert all("it helped in 0 of 1 trial" in each["reason"] for each in learned if each["id"] in tried)


def _is_cure(services: Services, job: Job) -> bool:
    fit = services.fits.get("default", job.fit or "")
    return any(
        step.trial == job.trial and step.data["candidate"]["cure"] for step in fit.steps if "candidate" in step.data
    )


def _places(advice: list[dict[str, Any]], ids: list[str]) -> int:
    """The sum of the places of these cures; a cure that is left out has the place after the last one."""
    order = [each["id"] for each in advice]
    return sum(order.index(each) if each in order else len(order) for each in ids)


def test_another_tenant_sees_nothing_of_a_fit(app: Flask, client: FlaskClient, services: Services) -> None:
    created = create(client)
    own = created["links"]
    with services.database.write() as c:
        c.execute(update(fits).values(tenant="somebody"))
    for address in (own["self"], own["report"], own["artifacts"], own["events"], f"{own['artifacts']}/best_model.pth"):
        expect_problem(client.get(address), 404)
    expect_problem(client.post(own["cancel"]), 404)
    expect_problem(client.delete(own["self"]), 404)
    assert client.get("/v1/fits").json["data"] == []


def test_a_paused_trial_that_its_owner_ends_is_left_behind(
    app: Flask, client: FlaskClient, services: Services, tmp_path: Path
) -> None:
    created = create(client)
    conductor = Conductor(app)
    with app.app_context():
        while not (paused := client.get("/v1/jobs?status=paused").json["data"]):
            conductor.turn()
            train(services, tmp_path, better_than_the_base)
        for job in paused:
            client.post(f"/v1/jobs/{job['id']}/cancel")
    run_to_the_end(app, services, created["id"], tmp_path, conductor=conductor)
    assert client.get(created["links"]["self"]).json["status"] == "succeeded"


@pytest.mark.parametrize("act", ["pause", "cancel"])
@ON_DISK_FIRST
def test_a_trial_that_its_owner_stops_is_lost_to_the_fit(
    app: Flask, client: FlaskClient, services: Services, tmp_path: Path, act: str
) -> None:
    created = create(client)
    conductor = Conductor(app)
    with app.app_context():
        train(services, tmp_path, better_than_the_base)
        conductor.turn()
    stopped = next(job for job in client.get("/v1/jobs?status=queued").json["data"])
    assert client.post(f"/v1/jobs/{stopped['id']}/{act}").status_code == 202
    run_to_the_end(app, services, created["id"], tmp_path, conductor=conductor)
    fit = client.get(created["links"]["self"]).json
    assert fit["status"] == "succeeded"
    assert fit["budget"]["spent_jobs"] == 12
    own = next(each for each in fit["leaderboard"] if each["job"] == stopped["id"])
    assert (own["state"], own["val_loss"]) == ("lost", None)
    outcome = next(step["outcome"] for step in fit["steps"] if step["job"] == stopped["id"])
    assert outcome == {"pause": "no result: it was paused by its owner", "cancel": "no result: it was cancelled"}[act]


@pytest.mark.parametrize(
    "base",
    [
        {"optimizer": {"name": "sgd", "momentum": 0.9}},
        {"schedule": {"name": "cosine", "warmup_epochs": 3}},
        {"model": {"arch": "layers", "layers": [{"type": "flatten"}, {"type": "linear"}]}},
    ],
)
@ON_DISK_FIRST
def test_what_a_base_contradicts_is_not_tried(client: FlaskClient, base: dict[str, Any]) -> None:
    plan = client.post("/v1/fits?validate_only=true", json={**REQUEST, "spec": base}).json
    assert "/optimizer/lr" in plan["space"]
    assert ("/regularization/dropout" in plan["space"]) == ("model" not in base)
    assert len(plan["first_trials"]) > 3


@ON_DISK_FIRST
def test_changes_that_cannot_be_run_end_the_search(
    app: Flask, client: FlaskClient, services: Services, tmp_path: Path
) -> None:
    space = {"/optimizer/momentum": {"choices": [0.0, 0.9]}, "/optimizer/nesterov": {"choices": [False]}}
    created = create(client, spec={"optimizer": {"name": "sgd"}}, space=space)
    run_to_the_end(app, services, created["id"], tmp_path)
    fit = client.get(created["links"]["self"]).json
    assert fit["status"] == "succeeded"
    assert len(fit["steps"]) < 60


def test_a_fit_whose_jobs_were_deleted_still_has_its_report(
    app: Flask, client: FlaskClient, services: Services, tmp_path: Path
) -> None:
    created = create(client, jobs=3, seeds=1)
    run_to_the_end(app, services, created["id"], tmp_path)
    assert not any(step["what"] == "repeat" for step in client.get(created["links"]["self"]).json["steps"])
    for job in client.get("/v1/jobs").json["data"]:
        assert client.delete(f"/v1/jobs/{job['id']}").status_code == 204
    assert "## Trials" in client.get(created["links"]["report"]).text
    board = client.get(created["links"]["self"]).json["leaderboard"]
    assert {each["state"] for each in board} <= {"deleted", "kept"}
