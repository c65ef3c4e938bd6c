"""The files of a request are refused while they arrive, before they take the disk."""

import io
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.datastructures import Headers
from werkzeug.test import EnvironBuilder

from service.core.sql.datasets import DatasetStore
from service.services import Services
from tests.pictures import folders, zipped
from tests.servers import ON_DISK
from tests.service.api.requests import expect_problem
from tests.service.api.uploads import ZIP, send

pytestmark = ON_DISK

MEGABYTE = 1 << 20


class Body(io.BytesIO):
    """A body that says how much of it was read."""

    taken = 0

    def read(self, size: int | None = -1) -> bytes:
        block = super().read(size)
        self.taken = self.tell()
        return block

    def readinto(self, buffer: Any) -> int:
        size = super().readinto(buffer)
        self.taken = self.tell()
        return size


def form(size: int, *more: tuple[str, str]) -> tuple[Body, str]:
    """A form with a file of this many bytes, as a body and its content type."""
    fields = {"file": (io.BytesIO(bytes(size)), "a.zip", ZIP), **dict(more)}
    environ = EnvironBuilder(method="POST", data=fields).get_environ()
    with environ["wsgi.input"] as body:
        return Body(body.read()), environ["CONTENT_TYPE"]


def chunked(client: FlaskClient, body: Body, content_type: str) -> int:
    """The status of a request whose length is not known beforehand."""
    return client.post(
        "/v1/datasets",
        input_stream=body,
        content_type=content_type,
        headers=Headers({"Transfer-Encoding": "chunked"}),
        environ_overrides={"wsgi.input_terminated": True},
    ).status_code


def test_a_form_beyond_the_quota_is_refused_while_it_arrives(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DatasetStore, "room", lambda *_: MEGABYTE)
    body, kind = form(20 * MEGABYTE)
    assert chunked(client, body, kind) == 429
    assert MEGABYTE < body.taken < 2 * MEGABYTE


def test_a_form_beyond_the_limit_is_refused_while_it_arrives(client: FlaskClient, services: Services) -> None:
    object.__setattr__(services.settings, "max_upload_bytes", MEGABYTE)
    body, kind = form(20 * MEGABYTE)
    assert chunked(client, body, kind) == 413
    assert MEGABYTE < body.taken < 3 * MEGABYTE


def test_the_files_of_a_form_lie_in_the_uploads_folder(
    client: FlaskClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    body, kind = form(MEGABYTE)
    monkeypatch.setattr("tempfile.tempdir", "/nowhere")
    assert chunked(client, body, kind) == 202
    assert list((services.settings.home / "uploads").iterdir()) == []


def test_a_share_of_the_disk_is_left(client: FlaskClient, services: Services) -> None:
    data = zipped(folders(each=2))
    object.__setattr__(services.settings, "disk_reserve_bytes", 1 << 50)
    problem = expect_problem(client.post("/v1/datasets?name=a", data=data, content_type=ZIP), 507)
    assert "the disk is nearly full" in problem["detail"]
    fields = {"file": (io.BytesIO(data), "a.zip", ZIP)}
    expect_problem(client.post("/v1/datasets", data=fields, content_type="multipart/form-data"), 507)
    object.__setattr__(services.settings, "disk_reserve_bytes", 0)
    send(client, data)


def test_a_form_of_many_parts_is_refused(client: FlaskClient) -> None:
    body, kind = form(10, *((f"field{i}", "x") for i in range(20)))
    assert chunked(client, body, kind) == 413
