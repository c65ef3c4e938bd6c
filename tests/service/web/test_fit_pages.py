"""The pages of fits."""

import re
from pathlib import Path

from flask import Flask
from flask.testing import FlaskClient

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
        (running, (running, "search", "12 jobs")),
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
    page = looks_right(client, f"/fits/{fit_id}")
    assert f"best, trial {fit['best']['trial']}, kept; base, trial 1 has {format_number(0.9)} and 80.0%" in page
    assert fit["summary"] in page
    assert f'href="/v1/fits/{fit_id}/artifacts/best_model.pth" download' in page
    assert f'data-delete="/v1/fits/{fit_id}"' in page
    runs = [step for step in fit["steps"] if step["what"] in ("start", "promote", "repeat")]
    assert page.count("<circle") == len(runs)
    (rungs,) = re.findall(r'class="rungs" d="([^"]*)"', page)
    assert rungs.count("M") == sum(step["what"] == "promote" for step in runs), "one line for each promoted trial"
    assert 'aria-label="Confusion matrix"' in page
    assert "The base alone took" in page
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
