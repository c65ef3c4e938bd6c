"""The page that diagnoses a history from elsewhere, by its form as a browser without scripts sends it."""

import html
import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.datastructures import FileStorage
from werkzeug.test import TestResponse, encode_multipart

from service.core.diagnosis.histories import MOST_BYTES
from service.core.diagnosis.snippets import FRAMEWORKS
from service.core.settings import Settings
from service.core.sql.api_keys import Scope
from service.http.auth import COOKIE
from service.services import Services
from service.web.blueprint import POLICY
from tests.servers import ON_DISK
from tests.service.web.pages import looks_right

FILES = Path(__file__).parents[1] / "core" / "diagnosis" / "histories" / "files"
LOG = "\r\n".join(  # as browsers send the lines of a text area
    f"Epoch {i + 1}/20, Train Loss: {2 * 0.75**i:.4f}, Val Loss: {max(0.6, 1 - i / 10) + 0.05 * max(0, i - 5):.4f}"
    for i in range(20)
)


def send(client: FlaskClient, file: tuple[str, bytes] | None = None, **texts: str) -> TestResponse:
    """Send the form; a browser sends every field, and an empty file without a name if none was chosen."""
    name, data = file or ("", b"")
    boundary, body = encode_multipart({"file": FileStorage(io.BytesIO(data), name), **texts})
    return client.post("/diagnose", data=body, content_type=f'multipart/form-data; boundary="{boundary}"')


def plain(answer: TestResponse) -> str:
    """The text of an answer's page, without its tags."""
    return html.unescape(re.sub(r"\s+", " ", re.sub("<[^>]+>", "", answer.text)))


def charted(answer: TestResponse) -> list[dict[str, Any]]:
    (rows,) = re.findall(r'data-rows="([^"]+)"', answer.text)
    chart: list[dict[str, Any]] = json.loads(html.unescape(rows))
    return chart


def refused(answer: TestResponse) -> str:
    assert (answer.status_code, answer.mimetype) == (422, "text/html")
    return html.unescape(answer.text.partition('id="problems"')[2].partition("</div>")[0])


def test_form_stands_on_its_own_and_in_the_header(client: FlaskClient) -> None:
    page = looks_right(client, "/diagnose")
    assert '<a href="/diagnose" aria-current="page">' in page
    assert 'enctype="multipart/form-data" action="/diagnose"' in page
    assert '<a href="/diagnose">' in looks_right(client, "/")


def test_pasted_log_gets_the_answer_of_the_api(client: FlaskClient) -> None:
    answer = send(client, history=LOG, classes="10", validation_images="900", label_counts="5, 5")
    assert "there are 2 numbers" in refused(answer)
    answer = send(client, history=LOG, classes="10", validation_images="900")
    assert (answer.status_code, answer.headers["Content-Security-Policy"]) == (200, POLICY)
    api = client.post("/v1/diagnoses?classes=10&validation_images=900", data=LOG, content_type="text/plain")
    said = json.loads(api.text)
    text = plain(answer)
    for words in (said["summary"], "20 epochs of log", *(item["meaning"] for item in said["evidence"])):
        assert words in text
    assert said["verdict"].replace("_", " ") in text
    missing = [one["what"] for one in said["missing"]]
    assert re.findall(r"<dt><code>(\w+)</code></dt>", answer.text) == missing
    assert "Early stopping with a patience of 1 to" in text
    assert 'href="/docs/verdicts/' in answer.text
    assert 'name="classes" type="text" value="10"' in answer.text
    assert "Epoch 20/20" in answer.text


def test_curves_are_drawn_with_and_without_scripts(client: FlaskClient) -> None:
    answer = send(client, history=LOG)
    rows = charted(answer)
    assert [row["epoch"] for row in rows] == list(range(1, 21))
    assert set(rows[0]) == {"epoch", "train_loss", "val_loss"}
    drawing = answer.text.partition("<svg class=")[2].partition("</svg>")[0]
    assert re.findall(r"<title>(\w+)</title>", drawing) == ["training", "validation"]
    assert re.findall(r'<option value="(\w+)">', answer.text) == ["loss"]


@pytest.mark.parametrize(
    ("name", "first"),
    [("keras_history.json", "Keras"), ("lightning_metrics.csv", "Lightning"), ("timm_summary.csv", "timm")],
)
def test_file_has_the_code_of_its_framework_first(client: FlaskClient, name: str, first: str) -> None:
    answer = send(client, (name, (FILES / name).read_bytes()))
    assert answer.status_code == 200, answer.text
    labels = re.findall(r'<p class="small">(Keras|PyTorch|Lightning|timm)</p>', answer.text)
    assert labels[0] == first
    assert len(set(labels[: len(FRAMEWORKS)])) == len(FRAMEWORKS)


def test_long_history_is_thinned_out_and_divergence_is_a_gap(client: FlaskClient) -> None:
    text = "loss,val_loss\n" + "\n".join(f"{1 / (i + 1)},{1 / (i + 1)}" for i in range(10_000)) + "\nnan,nan"
    answer = send(client, history=text)
    rows = charted(answer)
    assert "10,001 epochs" in answer.text
    assert len(rows) <= 2000
    assert rows[-1] == {"epoch": 10_001, "train_loss": None, "val_loss": None}


def test_what_is_wrong_is_said_where_it_was_typed(client: FlaskClient) -> None:
    assert "a file or a pasted history, one of them" in refused(send(client))
    assert "a file or a pasted history, one of them" in refused(send(client, ("a.txt", LOG.encode()), history=LOG))
    assert "Allowed: a history with a column of losses" in refused(send(client, history="hello <b>"))
    answer = send(client, history=LOG, classes="many", columns="val_loss:nothing")
    assert "classes: Not a valid integer. Allowed: a whole number, 1 to 100000." in refused(answer)
    assert re.search(r'id="classes" name="classes" type="text" value="many".*aria-invalid="true"', answer.text)
    assert "Epoch 20/20" in answer.text, "what was pasted stays"
    assert "Allowed: one of epoch, train_loss, val_loss" in refused(send(client, history=LOG, columns="val_loss:x"))
    assert "odd" in refused(client.post("/diagnose", data={"history": LOG, "odd": "1"}))


def test_file_that_is_too_large_is_refused(client: FlaskClient) -> None:
    answer = send(client, ("large.csv", b"x" * (MOST_BYTES + 1)))
    assert (answer.status_code, "at most 16,777,216 bytes" in refused(answer)) == (422, True)
    assert send(client, ("huge.csv", b"x" * (MOST_BYTES + (2 << 20)))).status_code == 413


def test_history_with_facts_in_its_json_is_read(client: FlaskClient) -> None:
    epochs = [{"val_loss": 1 / (i + 1), "train_loss": 1 / (i + 1)} for i in range(12)]
    answer = send(client, history=json.dumps({"epochs": epochs, "classes": 3, "spec": {"optimizer": {"lr": 0.01}}}))
    assert answer.status_code == 200, answer.text
    assert "<dt><code>classes</code></dt>" not in answer.text
    assert "/optimizer/lr" in answer.text or "/epochs" in answer.text


@ON_DISK
class TestWithKeys:
    """A key that may only read is enough; a form of another site is refused."""

    @pytest.fixture
    def settings(self, everywhere: Settings) -> Settings:
        return replace(everywhere, auth="keys")

    def test_reading_is_enough(self, app: Flask, parts: Services) -> None:
        client = app.test_client()
        assert send(client, history=LOG).status_code == 302, "to the sign-in page"
        client.set_cookie(COOKIE, parts.keys.create("team", [Scope.READ]))
        assert send(client, history=LOG).status_code == 200
        client.set_cookie(COOKIE, parts.keys.create("team", [Scope.WRITE]))
        assert send(client, history=LOG).status_code == 403

    def test_form_of_another_site_is_refused(self, app: Flask, parts: Services) -> None:
        client = app.test_client()
        client.set_cookie(COOKIE, parts.keys.create("team", [Scope.READ]))
        for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://example.com"}):
            answer = client.post("/diagnose", data={"history": LOG}, headers=headers)
            assert (answer.status_code, "another origin" in answer.text) == (403, True)
