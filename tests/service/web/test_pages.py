"""The pages: whole in every state, within their policy, small, and closed to whoever has no key."""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import insert

from service.core.records.job import Status
from service.core.spec import JobSpec
from service.core.sql.tables import epochs, jobs
from service.services import Services
from service.web import files
from service.web.options import MAIN, archs, sections
from tests.pictures import folders, zipped
from tests.service.web.pages import OUTSIDE, SPEC, epoch, expect_small, looks_right, run, submit
from tests.service.worker_steps import claim, read_datasets

LEADING = "post|predict|delete|after|go|history|events|submit|job|page"  # what of an element's data is an address
MANY = 1000


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


@pytest.mark.parametrize("path", ["/", "/new", "/compare", "/datasets", "/datasets/digits", "/datasets/cifar100"])
def test_a_page_without_jobs_says_what_to_do_next(client: FlaskClient, path: str) -> None:
    text = looks_right(client, path)
    if path in ("/", "/compare", "/datasets"):
        assert re.search("Create a job|To the jobs|Drop a folder", text)


def test_the_pages_of_jobs_of_every_kind(client: FlaskClient, filled: list[str]) -> None:
    listed = looks_right(client, "/")
    assert all(job_id in listed for job_id in filled)
    assert "&lt;b&gt;first&lt;/b&gt;" in listed
    assert "4 jobs: 1 queued, 1 running, 1 succeeded, 1 cancelled" in " ".join(listed.split())
    pages = [looks_right(client, f"/jobs/{job_id}") for job_id in filled]
    assert "Why: " in pages[0]
    assert "Train with it" in pages[0]
    assert "best_model.pth" in pages[0]
    assert f'href="/v1/jobs/{filled[0]}/export"' in pages[0]
    assert "/export" not in pages[1]
    assert "Patience" in pages[0]
    assert "Compare them with this job" in pages[0]
    assert "What differs from its parent" in pages[1]
    assert "/epochs" in pages[1]
    assert {action for action in ("pause", "cancel") if f'id="do-{action}"' in pages[1]} == {"pause", "cancel"}
    assert 'id="do-pause"' not in pages[0]
    looks_right(client, f"/compare?job={filled[0]}&job={filled[1]}")
    assert "/epochs" in looks_right(client, f"/compare?jobs={','.join(filled)}")
    looks_right(client, f"/new?like={filled[0]}")


def test_filters_and_search_live_in_the_address(client: FlaskClient, filled: list[str]) -> None:
    def listed(query: str) -> set[int]:
        text = looks_right(client, f"/?{query}")
        return {at for at, job_id in enumerate(filled) if f'value="{job_id}"' in text}

    assert listed("status=running&status=queued") == {1, 2}
    assert listed("q=FIRST") == {0, 1}
    assert listed(f"q={filled[2][6:]}") == {2}
    assert listed("q=digits&status=cancelled") == {3}
    assert listed("q=100%25") == listed("q=_") - listed("q=_") == set()
    assert listed("label=project%3Dweb+%26+more") == {0, 1}
    assert "No job matches" in looks_right(client, "/?q=nothing")
    assert 'value="first&#34;"' in looks_right(client, "/?q=first%22")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/jobs/nothing", 404),
        ("/new?like=nothing", 404),
        ("/?status=odd", 422),
        ("/?label=odd", 422),
        ("/compare?jobs=a,b", 404),
    ],
)
def test_an_error_page_links_to_the_jobs(client: FlaskClient, path: str, status: int) -> None:
    assert "To the jobs" in looks_right(client, path, status)


def test_the_list_of_a_thousand_jobs_is_small_and_quick(client: FlaskClient, parts: Services) -> None:
    spec = parts.submission.plan("default", JobSpec.from_dict(SPEC)).spec.to_dict()
    row = {
        "tenant": "default",
        "spec": spec,
        "dataset": "digits",
        "warnings": [],
        "priority": 5,
        "status": "succeeded",
        "attempt": 1,
        "version": 1,
        "turn": 0,
        "cancel_requested": False,
        "pause_requested": False,
        "checkpoints": [],
        "losses": [],
        "releases": 0,
        "last_epoch": 100,
        "best_epoch": 10,
        "created_at": time.time(),
    }
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
    expect_small(client, text)
    older = re.search(r'href="([^"]+)" rel="next"', text)
    assert older
    assert f"job_{MANY - 51:020}" in client.get(older[1].replace("&amp;", "&")).text


def test_scripts_and_styles_name_no_other_site(client: FlaskClient) -> None:
    names = [path.name for path in files.OURS.iterdir()]
    assert {"style.css", "job.js", "chart.js"} <= set(names)
    for path in [f"/static/{name}" for name in names] + [f"/static/chart/{name}" for name in files.CHART]:
        answer = client.get(path)
        assert answer.status_code == 200
        assert client.get(path, headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304
        loads = re.findall(r"(?:@import|\burl\(|import\s+.*?from)\s*['\"(]?([^'\")\s]+)", answer.text)
        assert all(loaded.startswith("./") for loaded in loads)
        if "/chart/" not in path:
            assert not OUTSIDE.search(answer.text.replace("http://www.w3.org/2000/svg", ""))
    for path in ("/static/nothing.js", "/static/..%2fformat.py", "/static/chart/__init__.py"):
        assert client.get(path).status_code == 404


def test_max_points_thins_out_a_long_history(client: FlaskClient, parts: Services) -> None:
    job_id = submit(client, epochs=5000)
    lease = parts.store.leases.claim("worker", 60)
    assert lease is not None
    parts.store.leases.append(lease, map(epoch, range(1, 1501)))
    thinned = json.loads(client.get(f"/v1/jobs/{job_id}/history?max_points=100").text)
    numbers = [row["epoch"] for row in thinned["data"]]
    assert 90 < len(numbers) <= 100
    assert {1, 10, 1500} <= set(numbers)
    assert numbers == sorted(numbers)
    assert thinned["best"]["epoch"] == 10
    assert len(json.loads(client.get(f"/v1/jobs/{job_id}/history").text)["data"]) == 1500
    for wrong in ("99", "10001", "many"):
        assert client.get(f"/v1/jobs/{job_id}/history?max_points={wrong}").status_code == 422


def test_the_form_has_every_option_of_a_spec_once() -> None:
    options = [option for section in sections() for option in section.inputs]
    assert len({option.id for option in options}) == len(options)
    pointers = {option.pointer for option in options}
    assert set(MAIN) <= pointers

    def leaves(value: Any, at: str) -> Iterator[str]:
        if isinstance(value, dict) and at != "/labels":
            for name, inner in value.items():
                yield from leaves(inner, f"{at}/{name}")
        else:
            yield at

    optional = {pointer for section in sections() for pointer in section.optional}
    assert set(leaves(JobSpec.from_dict(SPEC).to_dict(), "")) <= pointers | optional
    assert {"cnn", "mlp", "layers", "torchvision"} == set(archs().values())


def test_links_have_the_prefix_of_the_mount(client: FlaskClient, filled: list[str]) -> None:
    for path in ("/", "/new", "/datasets", f"/jobs/{filled[0]}"):
        text = client.get(path, environ_overrides={"SCRIPT_NAME": "/fit"}).text
        links = re.findall(rf'(?:href|src|action|data-(?:{LEADING}))="(/[^"]*)"', text)
        assert links
        assert all(link.startswith("/fit/") for link in links)


def test_a_fork_has_its_own_title_and_a_link_to_its_parent(client: FlaskClient, parts: Services) -> None:
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


def test_a_job_page_names_its_data_set_or_its_deletion(client: FlaskClient, parts: Services) -> None:
    sent = client.post("/v1/datasets?name=shapes", data=zipped(folders()), content_type="application/zip")
    used = json.loads(sent.text)["id"]
    read_datasets(parts)
    job = submit(client, dataset={"id": used}, model={"arch": "mlp"})
    other = submit(client)
    assert f'<a id="to-dataset" href="/datasets/{used}">shapes</a>' in client.get(f"/jobs/{job}").text
    listed = client.get("/?q=shapes").text
    assert job in listed
    assert other not in listed
    assert "1 matches" in listed
    assert "1 job was trained on it" in client.get(f"/datasets/{used}").text
    client.post(f"/v1/jobs/{job}/cancel")
    assert client.delete(f"/v1/datasets/{used}").status_code == 204
    page = client.get(f"/jobs/{job}").text
    assert "Its data set was deleted" in page
    assert f"/datasets/{used}" not in page


def test_a_long_job_shows_its_first_events(client: FlaskClient, parts: Services) -> None:
    job = submit(client)
    parts.store.leases.append(claim(parts), [epoch(number) for number in range(1, 300)])
    page = client.get(f"/jobs/{job}").text
    events = page.partition('id="events-list"')[2].partition("</ol>")[0]
    assert "queued" in events
    assert events.count("<li>") == 2
