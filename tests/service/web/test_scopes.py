"""What a page offers is what the key it is shown for may do."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from service.core.records.job import Status
from service.core.settings import Settings
from service.core.sql.api_keys import Scope
from service.http.auth import COOKIE
from service.services import Services
from tests.pictures import folders, zipped
from tests.servers import ON_DISK
from tests.service.api.uploads import ready
from tests.service.web.pages import looks_right, run, submit

pytestmark = ON_DISK

LISTS = ("/", "/fits", "/datasets", "/datasets/digits", "/compare")
OFFER = re.compile(r'data-(post|delete|submit)="([^"]+)"|href="(/new[^"]*)"')
ACTIONS = ("pause", "resume", "cancel", "retry", "fork")
FORMS = {
    "GET /new",
    "GET /new?like=ID",
    "GET /new?dataset=ID",
    "GET /new?dataset=digits",
    "GET /new?goal=fit&amp;dataset=digits",
}
CREATIONS = {
    "POST /v1/jobs",
    "POST /v1/fits",
    "POST /v1/datasets",
    "POST /v1/ablations",
    *(f"POST /v1/jobs/ID/{action}" for action in ACTIONS),
}
CHANGES = FORMS | CREATIONS | {"DELETE /v1/jobs/ID", "DELETE /v1/datasets/ID"}


@pytest.fixture
def settings(everywhere: Settings) -> Settings:
    return replace(everywhere, auth="keys")


def visitor(app: Flask, parts: Services, *scopes: Scope) -> FlaskClient:
    """A browser that is signed in, as somebody of one team."""
    client = app.test_client()
    client.set_cookie(COOKIE, parts.keys.create("team", scopes))
    return client


@pytest.fixture
def pages(app: Flask, parts: Services, tmp_path: Path) -> list[str]:
    """Those of a team that has jobs in every state and a data set."""
    writer = app.test_client()
    writer.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {parts.keys.create('team', [Scope.READ, Scope.WRITE])}"
    ids = []
    for status in (Status.SUCCEEDED, Status.FAILED, Status.RUNNING):
        ids.append(submit(writer))
        run(parts, tmp_path, status=status)
    ids += [submit(writer), submit(writer)]
    writer.post(f"/v1/jobs/{ids[-1]}/pause")
    own = ready(writer, parts, zipped(folders(each=4)))
    return [*LISTS, *(f"/jobs/{job_id}" for job_id in ids), f"/datasets/{own['id']}"]


def offers(client: FlaskClient, pages: list[str]) -> set[tuple[str, str]]:
    """The method and address of all that the pages lead to and that changes something."""
    matches = [match for page in pages for match in OFFER.findall(looks_right(client, page))]
    return {_offer(*match) for match in matches}


def _offer(kind: str, address: str, form: str) -> tuple[str, str]:
    if not address:
        return "GET", form
    return ("DELETE" if kind == "delete" else "POST"), address


def test_a_writer_is_offered_everything(app: Flask, parts: Services, pages: list[str]) -> None:
    for scope in (Scope.WRITE, Scope.ADMIN):
        client = visitor(app, parts, Scope.READ, scope)
        offered = offers(client, [*pages, "/new"])
        assert {re.sub("(job|ds)_[0-9a-f]{20}", "ID", " ".join(offer)) for offer in offered} == CHANGES
        assert "the scope" not in client.get("/").text


def test_a_reader_is_offered_nothing_that_is_refused(app: Flask, parts: Services, pages: list[str]) -> None:
    reader = visitor(app, parts, Scope.READ)
    assert offers(reader, pages) == set()
    for page in pages:
        assert "the scope <code>write</code>" in reader.get(page).text
    key = {"Authorization": f"Bearer {parts.keys.create('team', [Scope.READ])}"}
    for method, address in offers(visitor(app, parts, Scope.READ, Scope.WRITE), pages):
        assert reader.open(address, method=method, headers=key).status_code == 403, (method, address)
    assert "This needs the scope write; this key has: read" in looks_right(reader, "/new", 403)


def test_a_reader_sees_everything_else(app: Flask, parts: Services, pages: list[str]) -> None:
    texts = [looks_right(visitor(app, parts, Scope.READ), page) for page in pages]
    for word in ("Compare selected", "Try first", "best_model.pth", "Images per class", "Sign out"):
        assert any(word in text for text in texts), word
    assert not any("Drop a folder" in text or "sending.js" in text for text in texts)


def test_a_reader_without_jobs_gets_no_link_to_the_form(app: Flask, parts: Services) -> None:
    text = looks_right(visitor(app, parts, Scope.READ), "/")
    assert "There are no jobs yet" in text
    assert "Create a job" not in text


def test_a_key_without_read_gets_the_missing_scope(app: Flask, parts: Services) -> None:
    text = looks_right(visitor(app, parts, Scope.WRITE), "/", 403)
    assert "This needs the scope read; this key has: write" in text
