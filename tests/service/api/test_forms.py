"""Forms with fields that are not known or there twice, and bodies with a content coding."""

import gzip
import io
import json
from itertools import product
from typing import Any

from flask.testing import FlaskClient
from werkzeug.datastructures import MultiDict

from tests.pictures import folders, zipped
from tests.servers import ON_DISK
from tests.service.api.requests import SPEC, expect_problem
from tests.service.api.uploads import ZIP

pytestmark = ON_DISK

Fields = list[tuple[str, Any]]


def archive(name: str = "a.zip") -> tuple[io.BytesIO, str, str]:
    return io.BytesIO(zipped(folders(each=2))), name, ZIP


def send(client: FlaskClient, fields: Fields) -> Any:
    return client.post("/v1/datasets", data=MultiDict(fields), content_type="multipart/form-data")


def test_no_part_of_a_form_is_dropped_in_silence(client: FlaskClient) -> None:
    refused: list[tuple[Fields, list[str]]] = [
        ([("file", archive()), ("file", archive("b.zip"))], ["/file"]),
        ([("file", archive()), ("file2", archive("b.zip"))], ["/file2"]),
        ([("archive", archive())], ["/archive"]),
        ([("file", archive()), ("name", "a"), ("name", "b")], ["/name"]),
        ([("file", archive()), ("name", archive())], ["/name"]),
        ([("file", "no file")], ["/file"]),
        ([("file", archive()), ("nmae", "a"), ("file", archive())], ["/file", "/nmae"]),
    ]
    for fields, pointers in refused:
        problem = expect_problem(send(client, fields), 422)
        assert [fault["pointer"] for fault in problem["errors"]] == pointers
        assert all("file" in fault["allowed"] for fault in problem["errors"])
    assert not [dataset for dataset in client.get("/v1/datasets").json["data"] if dataset["id"].startswith("ds_")]


def test_a_body_with_a_content_coding_is_refused(client: FlaskClient) -> None:
    bodies = {
        "/v1/datasets?name=a": (gzip.compress(zipped(folders(each=2))), ZIP),
        "/v1/jobs": (gzip.compress(json.dumps(SPEC).encode()), "application/json"),
    }
    codings = ("gzip", "x-gzip", "br", "zstd", "GZIP", "identity, gzip")
    for (path, (body, kind)), coding in product(bodies.items(), codings):
        answer = client.post(path, data=body, content_type=kind, headers={"Content-Encoding": coding})
        detail = expect_problem(answer, 415)["detail"]
        assert coding in detail
        assert "allowed" in detail
        assert answer.headers["Accept-Encoding"] == "identity"


def test_identity_and_requests_without_a_body_are_taken(client: FlaskClient) -> None:
    assert client.post("/v1/jobs", json=SPEC, headers={"Content-Encoding": "identity"}).status_code == 202
    assert client.get("/v1/jobs", headers={"Content-Encoding": "gzip"}).status_code == 200
