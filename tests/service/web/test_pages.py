"""The pages: whole in every state, within their policy, small, and closed to whoever has no key."""

import json
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import insert

from service.app import create_app
from service.core.records.epoch import Epoch
from service.core.records.job import Outcome, Phase, Status, StopReason
from service.core.settings import Settings
from service.core.sql.api_keys import ApiKeys, Scope, csrf_token
from service.core.sql.tables import epochs, jobs
from service.http.auth import COOKIE, CSRF_HEADER
from service.services import Services
from service.web import files
from service.web.blueprint import POLICY
from service.web.options import ESSENTIAL, archs, sections
from tests.pictures import folders, zipped
from tests.service.worker_steps import claim
from tests.service.worker_steps import read_datasets as read

SPEC: dict[str, Any] = {"dataset": {"id": "digits"}, "epochs": 30}
OUTSIDE = re.compile(r"(?:https?:)?//(?!127\.0\.0\.1)[a-z0-9.-]+\.[a-z]{2,}", re.IGNORECASE)
LEADING = "post|delete|after|go|history|events|submit|job|page"  # what of an element's data is an address
LARGEST = 300_000  # bytes of the first page with all that it loads
MANY = 1000


def submit(client: FlaskClient, **changes: Any) -> str:
    answer = client.post("/v1/jobs", json=SPEC | changes)
    assert answer.status_code == 202, answer.text
    job_id: str = json.loads(answer.text)["id"]
    return job_id


def epoch(number: int) -> Epoch:
    """One of a run that overfits from its tenth epoch on."""
    loss = 2.3 / number if number <= 10 else 0.23 + 0.05 * (number - 10)
    return Epoch(number, 2.3 / number, 2.2 / number, loss, 0.9, 0.8, 0.0, 1e-3, 0.1, 10.0, number <= 10, 0)


def run(parts: Services, tmp_path: Path, count: int = 30, status: Status = Status.SUCCEEDED) -> None:
    """The next job is run, with an artifact at its end."""
    lease = parts.store.leases.claim("worker", 60)
    assert lease is not None
    parts.store.leases.record_facts(
        lease, {"images": {"train": 1438, "validation": 359}, "trivial_loss": 2.3, "trivial_accuracy": 0.1}
    )
    parts.store.leases.set_phase(lease, Phase.TRAINING)
    parts.store.leases.append(lease, map(epoch, range(1, count + 1)))
    if status is Status.RUNNING:
        return
    (tmp_path / "best_model.pth").write_bytes(b"weights")
    published = parts.storage.put(f"jobs/{lease.job_id}/a1/best_model.pth", tmp_path / "best_model.pth")
    parts.store.leases.finish(lease, Outcome(status, StopReason.MAX_EPOCHS), [published])


@pytest.fixture
def filled(client: FlaskClient, parts: Services, tmp_path: Path) -> list[str]:
    """Ids of jobs: one that has ended, its fork which runs, one that waits, one cancelled before it began."""
    ids = [submit(client, name="<b>first</b>", labels={"project": "web & more"})]
    run(parts, tmp_path)
    fork = client.post(f"/v1/jobs/{ids[0]}/fork", json={"patch": [{"op": "replace", "path": "/epochs", "value": 50}]})
    ids.append(json.loads(fork.text)["id"])
    run(parts, tmp_path, status=Status.RUNNING)
    ids += [submit(client), submit(client)]
    client.post(f"/v1/jobs/{ids[-1]}/cancel")
    return ids


def looks_right(client: FlaskClient, path: str, status: int = 200) -> str:
    answer = client.get(path)
    assert (answer.status_code, answer.mimetype) == (status, "text/html"), answer.text
    assert answer.headers["Content-Security-Policy"] == POLICY
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert not OUTSIDE.search(answer.text)
    assert not re.search(r"<script(?![^>]* src=)|<style| style=| on[a-z]+=", answer.text), "nothing inline"
    for landmark in ("<header>", '<nav aria-label="Main">', '<main id="content"', 'class="skip"', 'lang="en"', "<h1"):
        assert landmark in answer.text
    return answer.text


@pytest.mark.parametrize("path", ["/", "/new", "/compare", "/datasets", "/datasets/digits", "/datasets/cifar100"])
def test_a_page_without_jobs_says_what_to_do_next(client: FlaskClient, path: str) -> None:
    text = looks_right(client, path)
    if path in ("/", "/compare", "/datasets"):
        assert re.search("Make a job|To the jobs|Drop a folder", text)


def test_the_pages_of_jobs_of_every_kind(client: FlaskClient, filled: list[str]) -> None:
    listed = looks_right(client, "/")
    assert all(job_id in listed for job_id in filled)
    assert "&lt;b&gt;first&lt;/b&gt;" in listed
    assert "4 jobs: 1 queued, 1 running, 1 succeeded, 1 cancelled" in " ".join(listed.split())
    pages = [looks_right(client, f"/jobs/{job_id}") for job_id in filled]
    assert "Diagnosis: " in pages[0]
    assert "Apply this advice" in pages[0]
    assert "best_model.pth" in pages[0]
    assert "Patience" in pages[0]
    assert "Forks" in pages[0]
    assert "What differs from its parent" in pages[1]
    assert "/epochs" in pages[1]
    assert {action for action in ("pause", "cancel") if f'id="do-{action}"' in pages[1]} == {"pause", "cancel"}
    assert 'id="do-pause"' not in pages[0]
    looks_right(client, f"/compare?job={filled[0]}&job={filled[1]}")
    assert "/epochs" in looks_right(client, f"/compare?jobs={','.join(filled)}")
    looks_right(client, f"/new?like={filled[0]}")


def test_filters_and_search_live_in_the_address(client: FlaskClient, filled: list[str]) -> None:
    def found(query: str) -> set[int]:
        text = looks_right(client, f"/?{query}")
        return {at for at, job_id in enumerate(filled) if f'value="{job_id}"' in text}

    assert found("status=running&status=queued") == {1, 2}
    assert found("q=FIRST") == {0, 1}
    assert found(f"q={filled[2][6:]}") == {2}
    assert found("q=digits&status=cancelled") == {3}
    assert found("q=100%25") == found("q=_") - found("q=_") == set()
    assert found("label=project%3Dweb+%26+more") == {0, 1}
    assert "No job matches" in looks_right(client, "/?q=nothing")
    assert 'value="first&#34;"' in looks_right(client, "/?q=first%22")


@pytest.mark.parametrize(
    ("path", "status"),
    [("/jobs/nothing", 404), ("/datasets/nothing", 404), ("/new?like=nothing", 404), ("/?status=odd", 422),
     ("/?label=odd", 422), ("/compare?jobs=a,b", 404)],
)  # fmt: skip
def test_what_is_not_there_is_told_on_a_page_that_leads_on(client: FlaskClient, path: str, status: int) -> None:
    assert "To the jobs" in looks_right(client, path, status)


def test_the_list_of_a_thousand_jobs_is_small_and_quick(client: FlaskClient, parts: Services) -> None:
    spec = parts.submission.plan("default", _spec()).spec.to_dict()
    row = {
        "tenant": "default", "spec": spec, "dataset": "digits", "warnings": [], "priority": 5, "status": "succeeded",
        "attempt": 1, "version": 1, "turn": 0, "cancel_requested": False, "pause_requested": False, "checkpoints": [],
        "losses": [], "releases": 0, "last_epoch": 100, "best_epoch": 10, "created_at": time.time(),
    }  # fmt: skip
    with parts.database.write() as c:
        c.execute(insert(jobs), [row | {"id": f"job_{n:020}"} for n in range(MANY)])
        curve = [{"attempt": 1, **vars(epoch(number))} for number in range(1, 101)]
        c.execute(insert(epochs), [one | {"job_id": f"job_{n:020}"} for n in range(MANY) for one in curve])
    client.get("/")
    began = time.monotonic()
    text = looks_right(client, "/")
    assert time.monotonic() - began < 1
    assert text.count('class="sketch"') == 50
    assert f"{MANY} jobs: {MANY} succeeded" in " ".join(text.split())
    loaded = [client.get(path).data for path in re.findall(r'(?:src|href)="(/static/[^"]+)"', text)]
    assert len(text.encode()) + sum(map(len, loaded)) < LARGEST
    older = re.search(r'href="([^"]+)" rel="next"', text)
    assert older
    assert f"job_{MANY - 51:020}" in client.get(older[1].replace("&amp;", "&")).text


def _spec() -> Any:
    from service.core.spec import JobSpec  # noqa: PLC0415

    return JobSpec.from_dict(SPEC)


def test_no_script_or_style_of_ours_names_an_address_outside(client: FlaskClient) -> None:
    names = [path.name for path in files.OURS.iterdir()]
    assert {"style.css", "job.js", "chart.js"} <= set(names)
    for path in [f"/static/{name}" for name in names] + [f"/static/chart/{name}" for name in files.CHART]:
        answer = client.get(path)
        assert answer.status_code == 200
        assert client.get(path, headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304
        loads = re.findall(r"(?:@import|url\(|import\s+.*?from)\s*['\"(]?([^'\")\s]+)", answer.text)
        assert all(loaded.startswith("./") for loaded in loads)
        if "/chart/" not in path:
            assert not OUTSIDE.search(answer.text.replace("http://www.w3.org/2000/svg", ""))
    for path in ("/static/nothing.js", "/static/..%2fwords.py", "/static/chart/__init__.py"):
        assert client.get(path).status_code == 404


def test_a_long_history_is_thinned_out_where_it_is_asked_to_be(client: FlaskClient, parts: Services) -> None:
    job_id = submit(client, epochs=5000)
    lease = parts.store.leases.claim("worker", 60)
    assert lease is not None
    parts.store.leases.append(lease, map(epoch, range(1, 1501)))
    told = json.loads(client.get(f"/v1/jobs/{job_id}/history?max_points=100").text)
    numbers = [row["epoch"] for row in told["data"]]
    assert 90 < len(numbers) <= 100
    assert {1, 10, 1500} <= set(numbers)
    assert numbers == sorted(numbers)
    assert told["best"]["epoch"] == 10
    assert len(json.loads(client.get(f"/v1/jobs/{job_id}/history").text)["data"]) == 1500
    for wrong in ("99", "10001", "many"):
        assert client.get(f"/v1/jobs/{job_id}/history?max_points={wrong}").status_code == 422


def test_the_form_has_every_option_of_a_spec_once() -> None:
    options = [option for section in sections() for option in section.inputs]
    assert len({option.id for option in options}) == len(options)
    pointers = {option.pointer for option in options}
    assert set(ESSENTIAL) <= pointers

    def leaves(value: Any, at: str) -> Iterator[str]:
        if isinstance(value, dict) and at != "/labels":
            for name, inner in value.items():
                yield from leaves(inner, f"{at}/{name}")
        else:
            yield at

    optional = {pointer for section in sections() for pointer in section.optional}
    assert set(leaves(_spec().to_dict(), "")) <= pointers | optional
    assert {"cnn", "mlp", "layers", "torchvision"} == set(archs().values())


@pytest.fixture
def guarded(settings: Settings) -> Iterator[tuple[FlaskClient, str]]:
    """The pages where there are keys, and a key."""
    app = create_app(replace(settings, auth="keys"))
    database = app.extensions["rightfit"].database
    database.migrate()
    yield app.test_client(), ApiKeys(database).create("somebody", [Scope.WRITE, Scope.READ])
    database.close()


def test_without_a_key_every_page_asks_for_it(guarded: tuple[FlaskClient, str]) -> None:
    client, _ = guarded
    for path in ("/", "/new", "/datasets", "/jobs/x", "/compare?jobs=a,b"):
        answer = client.get(path)
        assert answer.status_code == 302
        assert answer.headers["Location"].startswith("/sign-in?next=")
    assert client.get("/v1/jobs").status_code == 401
    looks_right(client, "/sign-in")
    assert client.get("/static/style.css").status_code == 200


def test_a_key_is_kept_where_no_script_and_no_other_site_can_use_it(guarded: tuple[FlaskClient, str]) -> None:
    client, key = guarded
    assert client.post("/sign-in", data={"key": "rf_wrong"}).status_code == 401
    assert client.get("/").status_code == 302
    foreign = client.post("/sign-in", data={"key": key}, headers={"Sec-Fetch-Site": "cross-site"})
    assert foreign.status_code == 403
    answer = client.post("/sign-in", data={"key": key, "next": "/datasets"})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/datasets")
    cookie = answer.headers["Set-Cookie"]
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
    assert "Secure" not in cookie
    secure = client.post("/sign-in", data={"key": key}, base_url="https://localhost").headers["Set-Cookie"]
    assert "Secure" in secure.split("; ")
    text = looks_right(client, "/")
    assert key not in text
    assert csrf_token(key) in text
    assert client.get("/v1/jobs").status_code == 200


@pytest.mark.parametrize("address", ["https://elsewhere.example", "//elsewhere.example", "/\\elsewhere.example", "x"])
def test_signing_in_leads_nowhere_else(guarded: tuple[FlaskClient, str], address: str) -> None:
    client, key = guarded
    assert client.post("/sign-in", data={"key": key, "next": address}).headers["Location"] == "/"


def test_another_site_changes_nothing_with_the_cookie(guarded: tuple[FlaskClient, str]) -> None:
    client, key = guarded
    client.post("/sign-in", data={"key": key})
    for headers in ({}, {CSRF_HEADER: "wrong"}, {CSRF_HEADER: csrf_token("rf_another")}):
        answer = client.post("/v1/jobs", json=SPEC, headers=headers)
        assert (answer.status_code, answer.mimetype) == (403, "application/problem+json")
    form = client.post("/v1/jobs/x/cancel", data={"a": "form"})
    assert (form.status_code, json.loads(form.text)["code"]) == (403, "forbidden")
    assert client.post("/v1/jobs", json=SPEC, headers={CSRF_HEADER: csrf_token(key)}).status_code == 202
    client.delete_cookie(COOKIE)
    assert client.post("/v1/jobs", json=SPEC, headers={"Authorization": f"Bearer {key}"}).status_code == 202


def test_a_bearer_key_counts_before_the_cookie(guarded: tuple[FlaskClient, str]) -> None:
    client, key = guarded
    client.post("/sign-in", data={"key": key})
    assert client.get("/v1/jobs", headers={"Authorization": "Bearer rf_wrong"}).status_code == 401


def test_signing_out_forgets_the_key(guarded: tuple[FlaskClient, str]) -> None:
    client, key = guarded
    client.post("/sign-in", data={"key": key})
    assert client.post("/sign-out").status_code == 403
    assert client.get("/").status_code == 200
    assert client.post("/sign-out", data={"csrf": csrf_token(key)}).status_code == 303
    assert client.get("/").status_code == 302


def test_without_keys_there_is_nothing_to_sign_in_to(client: FlaskClient) -> None:
    assert client.get("/sign-in").headers["Location"] == "/"


def test_behind_a_prefix_the_links_have_it(client: FlaskClient, filled: list[str]) -> None:
    for path in ("/", "/new", "/datasets", f"/jobs/{filled[0]}"):
        text = client.get(path, environ_overrides={"SCRIPT_NAME": "/fit"}).text
        links = re.findall(rf'(?:href|src|action|data-(?:{LEADING}))="(/[^"]*)"', text)
        assert links
        assert all(link.startswith("/fit/") for link in links)


def test_a_fork_is_told_from_its_parent_and_leads_to_it(client: FlaskClient, parts: Services) -> None:
    parent = submit(client, name="first")
    fork = json.loads(client.post(f"/v1/jobs/{parent}/fork", json={"advice": "dropout"}).text)["id"]
    own = json.loads(
        client.post(f"/v1/jobs/{parent}/fork", json={"patch": [{"op": "replace", "path": "/epochs", "value": 3}]}).text
    )["id"]
    page = client.get(f"/jobs/{fork}").text
    assert "<h1>first + dropout</h1>" in page
    assert f'<a id="compare-parent" href="/compare?jobs={parent},{fork}">' in page
    assert f'<a id="to-parent" href="/jobs/{parent}">first</a>' in page
    assert "<h1>first (fork)</h1>" in client.get(f"/jobs/{own}").text
    listed = client.get("/").text
    assert "first + dropout</a>" in listed
    ticked = client.get(f"/compare?job={fork}&job={parent}").text
    assert ticked.index('data-name="first"') < ticked.index('data-name="first + dropout"'), "the oldest comes first"
    assert "first + dropout against first: /regularization/dropout" in ticked
    twice = submit(client, name="first")
    both = client.get(f"/compare?jobs={parent},{twice}").text
    assert f"first ({twice[-6:]})" in both


def test_a_data_set_is_called_by_its_name_and_its_deletion_is_told(client: FlaskClient, parts: Services) -> None:
    sent = client.post("/v1/datasets?name=shapes", data=zipped(folders()), content_type="application/zip")
    used = json.loads(sent.text)["id"]
    read(parts)
    job = submit(client, dataset={"id": used}, model={"arch": "mlp"})
    other = submit(client)
    assert f'<a id="to-dataset" href="/datasets/{used}">shapes</a>' in client.get(f"/jobs/{job}").text
    found = client.get("/?q=shapes").text
    assert job in found
    assert other not in found
    assert "1 matches" in found
    assert "1 job was trained on it" in client.get(f"/datasets/{used}").text
    client.post(f"/v1/jobs/{job}/cancel")
    assert client.delete(f"/v1/datasets/{used}").status_code == 204
    page = client.get(f"/jobs/{job}").text
    assert "Its data set was deleted" in page
    assert f"/datasets/{used}" not in page


def test_what_happened_to_a_long_job_is_told_from_its_beginning(client: FlaskClient, parts: Services) -> None:
    job = submit(client)
    parts.store.leases.append(claim(parts), [epoch(number) for number in range(1, 300)])
    page = client.get(f"/jobs/{job}").text
    events = page.partition('id="events-list"')[2].partition("</ol>")[0]
    assert "queued" in events
    assert events.count("<li>") == 2
