"""Trying a picture on the pages, by the form that works without scripts."""

import html
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from service.core.evaluation.predictions import Predictions
from service.core.settings import Settings
from service.core.sql.api_keys import Scope
from service.http.auth import COOKIE
from service.services import Services
from tests.pictures import encoded, stripes
from tests.servers import ON_DISK
from tests.service.published_network import finish_with, small_network
from tests.service.web.pages import looks_right, submit

pytestmark = ON_DISK
PICTURE = encoded(stripes("rows", 1))


@pytest.fixture
def settings(everywhere: Settings) -> Settings:
    return replace(everywhere, auth="keys")


@pytest.fixture
def reader(app: Flask, parts: Services) -> FlaskClient:
    """A browser that is signed in with a key that may only read."""
    client = app.test_client()
    client.set_cookie(COOKIE, parts.keys.create("team", [Scope.READ]))
    return client


@pytest.fixture
def page(app: Flask, parts: Services, tmp_path: Path) -> str:
    """The address of the page of a job with a model."""
    writer = app.test_client()
    writer.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {parts.keys.create('team', [Scope.READ, Scope.WRITE])}"
    job = submit(writer)
    finish_with(parts, small_network(), tmp_path)
    return f"/jobs/{job}"


def send(client: FlaskClient, address: str, data: bytes) -> TestResponse:
    return client.post(address, data={"file": (io.BytesIO(data), "a <b>.png")}, content_type="multipart/form-data")


def test_form_answers_with_the_classes_as_bars(app: Flask, parts: Services, reader: FlaskClient, page: str) -> None:
    text = looks_right(reader, page)
    (action,) = re.findall(r'<form id="try-form"[^>]* action="([^"]+)"', text)
    (route,) = re.findall(r'data-predict="([^"]+)"', text)
    answer = send(reader, action, PICTURE)
    assert answer.status_code == 200, answer.text
    assert "a &lt;b&gt;.png" in answer.text
    bars = re.findall(r'<dt>(.*?)</dt><dd><meter min="0" max="1" value="([\d.e-]+)"', answer.text)
    program = app.test_client()
    key = {"Authorization": f"Bearer {parts.keys.create('team', [Scope.READ])}"}
    said = json.loads(program.post(route, data=PICTURE, content_type="image/png", headers=key).text)["data"][0]
    assert {label: float(value) for label, value in bars} == pytest.approx(said["probabilities"])
    assert bars[0][0] == said["label"]


def test_broken_picture_gets_an_error_page(reader: FlaskClient, page: str) -> None:
    answer = send(reader, f"{page}/try", b"no picture")
    assert answer.status_code == 422
    assert "not an image that can be read" in html.unescape(answer.text)
    assert "allowed: PNG" in answer.text


def test_form_is_for_models_only(reader: FlaskClient, app: Flask, parts: Services, page: str) -> None:
    writer = app.test_client()
    writer.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {parts.keys.create('team', [Scope.READ, Scope.WRITE])}"
    waiting = submit(writer)
    assert "try-form" not in looks_right(reader, f"/jobs/{waiting}")
    assert send(reader, f"/jobs/{waiting}/try", PICTURE).status_code == 409
    assert send(app.test_client(), f"{page}/try", PICTURE).status_code == 302, "to the sign-in page"


def test_similar_validation_pictures_stand_beside_the_classes(
    app: Flask, parts: Services, reader: FlaskClient, page: str, tmp_path: Path
) -> None:
    writer = app.test_client()
    writer.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {parts.keys.create('team', [Scope.READ, Scope.WRITE])}"
    address = page.replace("/jobs/", "/v1/jobs/") + "/predict"
    first = writer.post(address, data=PICTURE, content_type="image/png").get_json()["data"][0]
    assert first["similar"] == []
    seen = np.log(list(first["probabilities"].values()))  # the logits of the picture, but for their mean
    kept = Predictions(
        part=np.array([0, 0, 0, 1], np.uint8),
        index=np.array([7, 8, 9, 10]),
        label=np.array([0, 2, 1, 1]),
        logits=np.array([-seen, 3 * seen + 5, seen + np.eye(3)[2], seen], np.float32),
    )
    job = submit(writer)
    finish_with(parts, small_network(), tmp_path, kept)

    said = writer.post(f"/v1/jobs/{job}/predict?similar=2", data=PICTURE, content_type="image/png").get_json()
    similar = said["data"][0]["similar"]
    assert [(one["index"], one["label"], one["image"]) for one in similar] == [
        (8, "2", "/v1/datasets/digits/images/8"),
        (9, "1", "/v1/datasets/digits/images/9"),
    ]
    assert similar[0]["similarity"] == pytest.approx(1, abs=1e-4)
    assert similar[1]["similarity"] < 1
    shown = send(reader, f"/jobs/{job}/try", PICTURE).text
    assert re.findall(r'<figure><img src="([^"]+)"', shown) == [f"/v1/datasets/digits/images/{n}" for n in (8, 9, 7)]
    refused = writer.post(f"/v1/jobs/{job}/predict?similar=21", data=PICTURE, content_type="image/png")
    assert refused.status_code == 422
    assert "0 to 20" in refused.text
