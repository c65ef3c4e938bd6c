"""The form knows about how long an epoch takes, before and after the first job, and explains its options."""

import re
from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient
from playwright.sync_api import expect

from service.services import Services
from tests.browser import PHONE, browser, require_chromium, window
from tests.pictures import folders, zipped
from tests.service.live import Live
from tests.service.web.pages import looks_right, submit
from tests.service.worker_steps import claim, epoch, read_datasets

MLP: dict[str, Any] = {"dataset": {"id": "digits"}, "model": {"arch": "mlp"}}


def plan(client: FlaskClient, **spec: Any) -> dict[str, Any]:
    found: dict[str, Any] = client.post("/v1/jobs?validate_only=true", json={**MLP, **spec}).get_json()["time"]
    return found


def train(parts: Services, seconds: float) -> None:
    """Train an epoch of the next job."""
    parts.store.leases.append(claim(parts), [replace(epoch(1, 0.5), seconds=seconds)])


def test_networks_have_times_by_arithmetic_then_by_jobs(client: FlaskClient, parts: Services) -> None:
    assert 'data-times="/new/times/DATASET"' in looks_right(client, "/new")
    first = client.get("/new/times/digits").get_json()
    assert first["mlp"] < first["cnn"] < first["resnet18"] < first["resnet152"]
    submit(client, **MLP)
    train(parts, 100 * first["mlp"])
    then = client.get("/new/times/digits").get_json()
    assert then["mlp"] == pytest.approx(100 * first["mlp"])
    assert then["resnet18"] == pytest.approx(100 * first["resnet18"])


def test_help_of_the_form_names_no_releases(client: FlaskClient) -> None:
    page = looks_right(client, "/new")
    assert "whitens patches" in page
    assert "ince 0." not in page


def test_plan_of_a_job_has_its_time(client: FlaskClient, parts: Services) -> None:
    assert plan(client)["source"] == "arithmetic"
    submit(client, **MLP)
    train(parts, 2.0)
    found = plan(client, epochs=30)
    assert found == {"epoch_seconds": pytest.approx(2.0), "seconds": pytest.approx(60.0), "source": "history"}
    assert plan(client, epochs=30, max_seconds=25)["seconds"] == 25
    client.post("/v1/datasets?name=pets", data=zipped(folders()), content_type="application/zip")
    read_datasets(parts)
    pets = client.get("/v1/datasets").get_json()["data"][0]["id"]
    assert plan(client, dataset={"id": pets})["source"] == "speed"


def test_epochs_on_kept_features_are_compared_with_their_like(client: FlaskClient, parts: Services) -> None:
    frozen = {"model": {"arch": "cnn", "freeze": "backbone"}}
    submit(client, **MLP | frozen)
    train(parts, 0.001)
    assert plan(client, **frozen) == {
        "epoch_seconds": pytest.approx(0.001, rel=0.02),  # with its share of the pass before the first epoch
        "seconds": pytest.approx(0.1, rel=0.02),
        "source": "history",
    }
    trained_whole = plan(client, model={"arch": "cnn"})
    assert trained_whole["source"] == "arithmetic"
    assert client.get("/new/times/digits").get_json()["cnn"] == trained_whole["epoch_seconds"]


def test_a_narrow_form_shows_the_time_below_the_network(live: Live) -> None:
    with browser(require_chromium()) as started, window(started, live.url, PHONE) as tab:
        tab.page.goto("/new")
        hint = tab.page.locator("#o-model-arch-hint")
        expect(hint).to_have_text(re.compile(r"^about 0\.\d+ s an epoch$"))
        tab.page.select_option("#o-model-arch", "resnet152")
        expect(hint).to_have_text(re.compile(r"^about \d+ (s|min).* an epoch$"))
        tab.page.get_by_label("My own settings").check()
        tab.page.select_option("#o-model-arch", "cnn")
        small = hint.text_content()
        tab.page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        tab.page.get_by_label("channels", exact=True).first.fill("512, 512")
        expect(hint).not_to_have_text(small or "")
        chosen = tab.page.locator("#o-model-arch option:checked")
        expect(chosen).to_have_text(f"cnn: convolutions, good for small pictures, {hint.text_content()}")
        tab.page.select_option("#o-model-arch", "layers")
        expect(hint).to_have_text("")
