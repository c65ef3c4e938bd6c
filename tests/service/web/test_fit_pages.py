"""The pages of fits."""

import re
from pathlib import Path

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, update

from service.core.sql.tables import fits
from service.core.text import format_number
from service.services import Services
from tests.service.api.fits import REQUEST, better_than_the_base, run_to_the_end, train
from tests.service.web.pages import looks_right


def start(client: FlaskClient, **given: object) -> str:
    """The id of a new fit."""
    fit_id: str = client.post("/v1/fits", json={**REQUEST, **given}).get_json()["id"]
    return fit_id


def test_the_list_has_a_form_and_every_fit(client: FlaskClient, app: Flask, parts: Services, tmp_path: Path) -> None:
    assert "There are no fits yet" in looks_right(client, "/fits")
    ended = start(client, name="mine", jobs=3)
    run_to_the_end(app, parts, ended, tmp_path)
    running = start(client, seed=2)
    page = looks_right(client, "/fits?dataset=digits")
    assert 'data-submit="/v1/fits"' in page
    assert '<option value="digits" selected>' in page
    for fit_id, words in (
        (ended, ("mine", "3 jobs", format_number(0.9), "proved")),
        (running, ("Fit of digits", "search", "12 jobs")),
    ):
        (row,) = (row for row in re.findall("<tr>.*?</tr>", page, re.DOTALL) if f'id="to-{fit_id}"' in row)
        assert all(word in row for word in words), row


def test_the_list_shows_what_fits_have_shown(client: FlaskClient, app: Flask, parts: Services, tmp_path: Path) -> None:
    run_to_the_end(app, parts, start(client, jobs=30), tmp_path)
    page = looks_right(client, "/fits")
    assert "Results of your newest fits" in page
    assert 'data-delete="/v1/fits/learned"' in page
    client.delete("/v1/fits/learned")
    assert "Results of your newest fits" not in looks_right(client, "/fits")


def test_a_running_fit_shows_its_progress_and_can_be_cancelled(
    client: FlaskClient, parts: Services, tmp_path: Path
) -> None:
    fit_id = start(client, jobs=None, minutes=5, name="<mine>")
    page = looks_right(client, f"/fits/{fit_id}")
    assert "&lt;mine&gt;" in page
    assert "The picture starts with the first run that has ended." in page
    assert "5 min 0 s left" in page
    assert f'data-post="/v1/fits/{fit_id}/cancel"' in page
    assert f'data-events="/v1/fits/{fit_id}/events?after=1"' in page
    train(parts, tmp_path, better_than_the_base)
    page = looks_right(client, f"/fits/{fit_id}")
    assert f"guessing has {format_number(2.3)} and 10.0%" in page
    assert "Download the model" not in page


def test_an_ended_fit_shows_what_it_proved(client: FlaskClient, app: Flask, parts: Services, tmp_path: Path) -> None:
    fit_id = start(client)
    run_to_the_end(app, parts, fit_id, tmp_path)
    fit = client.get(f"/v1/fits/{fit_id}").get_json()
    assert client.get("/").text.count("test images scored, nothing trained") == 1
    page = looks_right(client, f"/fits/{fit_id}")
    assert f"best, trial {fit['best']['trial']}, kept; base, trial 1 has {format_number(0.9)} and 80.0%" in page
    assert fit["summary"] in page
    assert f'href="/v1/fits/{fit_id}/artifacts/best_model.pth" download="Fit-of-digits-best_model.pth"' in page
    assert f'data-delete="/v1/fits/{fit_id}"' in page
    runs = [step for step in fit["steps"] if step["what"] in ("start", "promote", "repeat")]
    assert page.count("<circle") == len(runs)
    (rungs,) = re.findall(r'class="rungs" d="([^"]*)"', page)
    assert rungs.count("M") == sum(step["what"] == "promote" for step in runs), "one line for each promoted trial"
    assert 'aria-label="Confusion matrix"' in page
    assert "The base alone took" in page
    assert re.search(r">[0-9.]+ s</text>", page), "a short axis is in seconds"
    assert ('href="#try"' in page) == ('id="try"' in page)
    assert page.count('class="rung-repeat"') == sum(step["what"] == "repeat" for step in runs)
    for each in fit["leaderboard"]:
        assert f'id="to-trial-{each["trial"]}" href="/jobs/{each["job"]}"' in page


def test_a_failed_fit_shows_its_reason(client: FlaskClient, app: Flask, parts: Services, tmp_path: Path) -> None:
    fit_id = start(client)
    base = client.get(f"/v1/fits/{fit_id}").get_json()["steps"][0]["job"]
    client.post(f"/v1/jobs/{base}/cancel")
    run_to_the_end(app, parts, fit_id, tmp_path)
    assert "<strong>no result</strong>" in looks_right(client, f"/fits/{fit_id}")
    looks_right(client, "/fits/fit_none", 404)


def test_ensemble_stands_beside_the_best_model(
    client: FlaskClient, app: Flask, parts: Services, tmp_path: Path
) -> None:
    fit_id = start(client, name="my pets")
    run_to_the_end(app, parts, fit_id, tmp_path)
    assert "ensemble.zip" not in looks_right(client, f"/fits/{fit_id}")
    best = client.get(f"/v1/fits/{fit_id}").get_json()["best"]
    scores = {
        "images": 200,
        "loss": 0.2468,
        "loss_interval": [0.2, 0.3],
        "accuracy": 0.975,
        "accuracy_interval": [0.95, 0.99],
        "against_best": {"loss": -0.05, "interval": [-0.06, -0.04]},
    }
    members = [{"trial": trial, "job": best["job"], "temperature": 1.0} for trial in (best["trial"], 1)]
    with parts.database.write() as c:
        result = c.execute(select(fits.c.result).where(fits.c.id == fit_id)).scalar_one()
        ensemble = {"members": members, "validation": scores, "test": None}
        c.execute(update(fits).where(fits.c.id == fit_id).values(result={**result, "ensemble": ensemble}))
    page = looks_right(client, f"/fits/{fit_id}")
    assert f'href="/v1/fits/{fit_id}/artifacts/ensemble.zip" download="my-pets-ensemble.zip"' in page
    assert "of 2 models" in page
    (table,) = re.findall(r'aria-label="Scores of the ensemble">(.*?)</table>', page, re.DOTALL)
    for words in ("200 validation", "0.2468", "97.5%", "95.0% to 99.0%", "-0.0500", "best single model"):
        assert words in table
    assert format_number(best["val_loss"]) in table


def test_fit_without_a_name_is_named_after_its_data(client: FlaskClient) -> None:
    fit_id = start(client)
    for path in ("/fits", f"/fits/{fit_id}"):
        assert "Fit of digits" in looks_right(client, path)
