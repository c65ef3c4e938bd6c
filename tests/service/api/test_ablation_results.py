"""The effects, the best arm and the summary of an ablation."""

from dataclasses import replace

import numpy as np
import pytest
from flask.testing import FlaskClient

from service.core.evaluation.outcomes import outcomes
from service.core.evaluation.paired import paired
from service.core.records.ablation import BASE
from service.core.records.job import Failure, Outcome, Status, StopReason
from service.services import Services
from tests.servers import ON_DISK_FIRST
from tests.service.api.ablations import DONE, SHORT, create_ablation, end_job, get_ablation, run_jobs
from tests.service.drawn import drawn
from tests.service.worker_steps import claim

pytestmark = ON_DISK_FIRST


def test_effects_have_intervals_and_the_best_arm_has_its_spec(client: FlaskClient, services: Services) -> None:
    helps = {"dropout": -0.1, "short": 0.2, "all": -0.05}
    ablation = create_ablation(client, ["dropout", {"name": "short", "patch": SHORT}], 4, seed=10)
    run_jobs(
        services, lambda arm, seed: 0.5 + 0.1 * (seed - 10) + helps.get(arm, 0.0) + 0.001 * (seed % 2) * (arm != BASE)
    )
    ablation = get_ablation(client, ablation)
    assert (ablation["status"], ablation["jobs"]["succeeded"]) == ("done", 16)
    effects = {effect["name"]: effect for effect in ablation["effects"]}
    assert {name: effect["verdict"] for name, effect in effects.items()} == {
        "dropout": "lowers validation loss",
        "short": "raises validation loss",
        "all": "lowers validation loss",
    }
    dropout = effects["dropout"]
    assert (dropout["seeds"], dropout["significant"]) == (4, True)
    assert dropout["effect"] == pytest.approx(-0.0995)
    assert dropout["relative_effect"] == pytest.approx(-0.0995 / 0.65)
    assert dropout["interval"][0] < dropout["effect"] < dropout["interval"][1] < 0
    assert [arm["mean_val_loss"] for arm in ablation["arms"]] == pytest.approx([0.65, 0.5505, 0.8505, 0.6005])
    best = ablation["best"]
    assert (best["arm"], best["is_better_than_base"]) == ("dropout", True)
    assert best["mean_val_loss"] == pytest.approx(0.5505)
    assert client.post("/v1/jobs?validate_only=true", json=best["spec"]).status_code == 200
    (changed,) = ablation["arms"][1]["patch"]
    assert best["spec"]["regularization"].pop("dropout") == changed["value"]
    assert ablation["spec"]["regularization"].pop("dropout") == 0.0
    assert best["spec"] == ablation["spec"]
    assert "dropout lowers validation loss by 0.0995 nats (15%)" in ablation["summary"]
    assert ablation["summary"].endswith(best["words"])


def test_difference_within_noise_is_no_effect(client: FlaskClient, services: Services) -> None:
    ablation = create_ablation(client, ["dropout"], 3, seed=0)
    run_jobs(services, lambda arm, seed: 0.5 if arm == BASE else [0.3, 0.55, 0.48][seed])
    ablation = get_ablation(client, ablation)
    (effect,) = ablation["effects"]
    assert (effect["verdict"], effect["significant"]) == ("no significant effect", False)
    assert effect["interval"][0] < 0 < effect["interval"][1]
    assert (ablation["best"]["arm"], ablation["best"]["is_better_than_base"]) == ("base", False)
    assert ablation["best"]["spec"] == ablation["spec"]
    assert "Nothing is significantly better" in ablation["best"]["words"]
    assert ablation["summary"].startswith("No significant effect")


def test_significant_effect_beats_a_better_but_noisy_mean(client: FlaskClient, services: Services) -> None:
    losses = {"base": [0.5, 0.6, 0.7], "dropout": [0.45, 0.551, 0.649], "short": [0.05, 0.6, 0.1], "all": [1, 1, 1]}
    ablation = create_ablation(client, ["dropout", {"name": "short", "patch": SHORT}], 3, seed=0)
    run_jobs(services, lambda arm, seed: losses[arm][seed])
    ablation = get_ablation(client, ablation)
    assert [effect["verdict"] for effect in ablation["effects"]][:2] == [
        "lowers validation loss",
        "no significant effect",
    ]
    assert ablation["best"]["arm"] == "dropout"


def test_diverged_runs_count_and_interrupted_ones_do_not(client: FlaskClient, services: Services) -> None:
    ablation = create_ablation(client, ["dropout"], 5, seed=0)
    lost = Outcome(Status.FAILED, StopReason.WORKER_LOST, Failure("infrastructure", "worker_lost", "gone"))
    diverged = Outcome(Status.FAILED, StopReason.DIVERGED, Failure("user", "diverged", "too far"))
    ends = {1: lost, 2: diverged, 3: Outcome(Status.CANCELLED, StopReason.CANCELLED)}
    while lease := services.store.leases.claim("worker", 60):
        job = services.store.queries.get("default", lease.job_id)
        seed = job.spec.seed or 0
        end_job(services, lease, None if seed == 4 else 0.5, ends.get(seed, DONE) if job.arm == "dropout" else DONE)
    ablation = get_ablation(client, ablation)
    assert [run["best_val_loss"] for run in ablation["arms"][1]["jobs"]] == [0.5, 0.5, 0.5, 0.5, None]
    assert (ablation["effects"][0]["seeds"], ablation["effects"][0]["effect"]) == (2, 0.0)
    assert ablation["arms"][1]["mean_val_loss"] == 0.5
    assert (ablation["status"], ablation["best"]) == ("cancelled", None)
    assert "no best is named" in ablation["summary"]


def test_running_ablation_shows_partial_results(client: FlaskClient, services: Services) -> None:
    ablation = create_ablation(client, ["dropout"], 2, seed=0)
    for _ in range(2):
        end_job(services, claim(services), 0.5)
    claim(services)
    ablation = get_ablation(client, ablation)
    assert (ablation["status"], ablation["effects"][0]["seeds"], ablation["effects"][0]["interval"]) == (
        "running",
        1,
        None,
    )
    assert ablation["jobs"] == dict.fromkeys(Status, 0) | {"queued": 1, "running": 1, "succeeded": 2}
    assert ablation["summary"] == "2 of 4 jobs have ended. Too few pairs to see any effect."


def test_deleted_job_counts_as_missing(client: FlaskClient, services: Services) -> None:
    ablation = create_ablation(client, ["dropout"], 3)
    run_jobs(services, lambda arm, seed: 0.5)
    assert client.delete(f"/v1/jobs/{ablation['arms'][0]['jobs'][0]['id']}").status_code == 204
    ablation = get_ablation(client, ablation)
    assert (ablation["status"], ablation["effects"][0]["seeds"], ablation["best"]) == ("done", 2, None)


def test_jobs_that_were_cut_short_do_not_count_by_image(client: FlaskClient, services: Services) -> None:
    ablation = create_ablation(client, ["dropout"], 2, seed=7)
    of_base = drawn(300, 3, 1.0)
    softer, wrong = (replace(of_base, logits=of_base.logits * np.float32(factor)) for factor in (0.5, -9))
    cancelled = Outcome(Status.CANCELLED, StopReason.CANCELLED)
    while lease := services.store.leases.claim("worker", 60):
        job = services.store.queries.get("default", lease.job_id)
        if job.arm == BASE:
            end_job(services, lease, 1.0, predictions=of_base)
        elif job.spec.seed == 7:
            end_job(services, lease, 1.0, predictions=softer)
        else:
            end_job(services, lease, 1.0, cancelled, predictions=wrong)
    (effect,) = get_ablation(client, ablation)["effects"]
    expected = paired(outcomes(of_base), outcomes(softer))
    assert expected is not None
    assert effect["seeds"] == 1
    assert effect["by_image"]["effect"] == pytest.approx(expected.loss)


@pytest.mark.parametrize("lost", [0, 1])
def test_effects_are_compared_image_by_image_too(client: FlaskClient, services: Services, lost: int) -> None:
    ablation = create_ablation(client, ["dropout"], seed=7)
    by_seed = {seed: drawn(300, 3, 1.0, seed) for seed in ablation["seeds"]}
    while lease := services.store.leases.claim("worker", 60):
        assert get_ablation(client, ablation)["effects"][0]["by_image"] is None
        job = services.store.queries.get("default", lease.job_id)
        of_base = by_seed[job.spec.seed or 0]
        softer = replace(of_base, logits=of_base.logits * np.float32(0.5))
        end_job(services, lease, 1.0, predictions=of_base if job.arm == BASE else softer)
    for artifact in services.store.queries.artifacts("default", ablation["arms"][0]["jobs"][0]["id"])[:lost]:
        services.storage.delete(artifact.key)
    (effect,) = get_ablation(client, ablation)["effects"]
    if lost:
        assert effect["by_image"] is None
        return
    low, high = effect["by_image"]["interval"]
    assert effect["by_image"]["images"] == 300
    assert 0 < low < effect["by_image"]["effect"] < high
