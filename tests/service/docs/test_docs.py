"""The documentation pages are complete, public and linked. Verdict pages match the API and the cures."""

import io
import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import fields, replace
from functools import cache
from typing import Any

import jsonpatch
import pytest
from flask.testing import FlaskClient
from PIL import Image

from service.app import create_app
from service.core.diagnosis import Verdict, diagnose
from service.core.diagnosis.advice import ADVISED
from service.core.diagnosis.cures import CURES
from service.core.diagnosis.run_context import RunContext
from service.core.records.dataset import Contents
from service.core.records.facts import Facts
from service.core.records.weights import Weights
from service.core.settings import Settings
from service.core.spec import JobSpec, contradictions
from service.core.storage import Artifact
from service.docs import FOLDER, POLICY, REFERENCE, VERDICTS
from service.docs import PAGES as DOCS
from service.docs.contents import CONTENTS, ORDER
from tests.golden.pictures import EXAMPLES
from tests.golden.runs import FILE
from tests.golden.scoring import history
from tests.servers import ROOT
from tests.service.core.diagnosis.rare import rare_note
from tests.service.parsed import Page

SPEC: dict[str, Any] = {"dataset": {"id": "digits"}}
OTHERS = ORDER
PAGES = [*(f"/docs/{name}" for name in OTHERS), *(f"/docs/verdicts/{verdict}" for verdict in Verdict)]
IMAGES = {"/docs/start": 4, "/docs/tutorial": 1} | {f"/docs/verdicts/{verdict}": 1 for verdict in Verdict}
CURE = re.compile(r"(?:^\d+\. |, and |, )`([a-z0-9_]+)` (sets|changes no field)", re.MULTILINE)
FORK = ["curl", "-s", "-X", "POST", "$JOB/fork", "-H", "Content-Type: application/json", "-d"]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    home = tmp_path_factory.mktemp("docs") / "home"
    return Settings.from_env({"RIGHTFIT_HOME": str(home), "RIGHTFIT_REDIS_URL": "redis://127.0.0.1:1/0"})


@pytest.fixture(scope="module")
def client(settings: Settings) -> Iterator[FlaskClient]:
    app = create_app(settings)
    yield app.test_client()
    app.extensions["rightfit"].database.close()


def text(verdict: str) -> str:
    return (VERDICTS / f"{verdict}.md").read_text("utf-8")


def section(verdict: str, heading: str) -> str:
    match = re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", text(verdict), re.MULTILINE | re.DOTALL)
    assert match, heading
    return match[1]


def bodies(verdict: str) -> list[dict[str, Any]]:
    """The JSON bodies that the curl commands of a page send."""
    sent = []
    for block in re.findall(r"^```sh\n(.*?)^```$", text(verdict), re.MULTILINE | re.DOTALL):
        for line in block.replace("\\\n", "").splitlines():
            *command, body = shlex.split(line)
            assert command == FORK
            sent.append(json.loads(body))
    return sent


COPIED = Facts({"train": 160, "validation": 40}, 0.7, 0.5, copies_across=3)
COLOURS = Contents(("cat", "dog"), (100, 100), (3, 64, 64))
STORED = Artifact("a", "weights/a", 1, "0" * 64, "application/octet-stream")
UPLOADED = Weights(f"wgt_{'0' * 20}", "mine", "resnet18", 1000, 3, 1, "0" * 64, STORED, 0.0)
REGULARIZED = {
    "model": {"arch": "cnn", "channels": [8], "hidden": [8], "kernel_size": 5},
    "optimizer": {"lr": 0.5},
    "early_stopping": None,
    "dataset": {"id": "digits", "train_limit": 100},
    "regularization": {
        "dropout": 0.2,
        "spatial_dropout": 0.2,
        "weight_decay": 1e-3,
        "l1": 1e-4,
        "label_smoothing": 0.1,
        "mixup_alpha": 0.4,
        "cutmix_alpha": 1.0,
    },
    "augmentation": {
        "normalize": False,
        "trivial_augment": True,
        "random_erasing": 0.2,
        "random_resized_crop": 0.5,
        "color_jitter": 0.2,
        "augmix": True,
    },
}
AUGMENTED: dict[str, Any] = {"augmentation": {"rand_augment": {}}}


@cache
def pointers(cure: str) -> frozenset[str]:
    """The fields that a cure changes in any of three specs: the default, REGULARIZED and AUGMENTED."""
    specs = [JobSpec.from_dict(SPEC | changes).filled(0) for changes in ({}, REGULARIZED, AUGMENTED)]
    cases = [
        RunContext(spec, COLOURS, COPIED, reason, weights=UPLOADED) for spec in specs for reason in (None, "max_epochs")
    ]
    patches = [CURES[cure].change(case) for case in cases]
    assert any(patch is not None for patch in patches), f"{cure} changes none of the specs"
    return frozenset(operation["path"] for patch in patches for operation in patch or ())


def test_each_verdict_has_a_page_an_image_and_a_run() -> None:
    known = {str(verdict) for verdict in Verdict}
    assert {file.stem for file in VERDICTS.glob("*.md")} == known | {"index"}
    assert {file.stem for file in VERDICTS.glob("*.png")} == known
    assert {str(verdict) for verdict in EXAMPLES} == known - {str(Verdict.RARE_CLASSES_IGNORED)}  # its run is uneven
    stored = {(run["set_up"], run["seed"]) for run in json.loads(FILE.read_text())}
    assert set(EXAMPLES.values()) <= stored


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_complete_and_all_its_links_work(client: FlaskClient, path: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.mimetype) == (200, "text/html")
    assert answer.headers["Content-Security-Policy"] == POLICY
    page = Page(answer.text)
    assert page.all("html", "lang") == ["en"]
    assert page.title.endswith(" | Rightfit")
    assert page.headings.count(1) == 1
    steps = zip(page.headings, page.headings[1:], strict=False)
    assert page.headings[0] == 1
    assert all(later <= earlier + 1 for earlier, later in steps)
    assert not {"style", "iframe", "form"} & {name for name, _ in page.tags}
    assert page.all("script", "src") == ["/static/docs.js"]
    assert not [attrs for _, attrs in page.tags if "style" in attrs]
    assert all(len(words) > 40 for words in page.all("img", "alt"))
    assert len(page.all("img", "alt")) == len(page.all("img", "src")) == IMAGES.get(path, 0)
    links = page.all("a", "href") + page.all("img", "src") + page.all("link", "href")
    assert {"/docs", "/docs/page.css", *(f"/docs/{name}" for name in OTHERS)} <= set(links)
    ids = [name for names in map(page.all, ("h1", "h2", "h3"), ["id"] * 3) for name in names]
    assert len(set(ids)) == len(ids) == len(page.headings)
    for address in links:
        if address.startswith("#"):
            assert address[1:] in (*ids, "content")
            continue
        if address in ("/", "/new", "/datasets", "/fits"):  # these need a database
            continue
        assert re.match("/[^/]", address), "links have no host"
        assert client.get(address).status_code == 200, address


@pytest.mark.parametrize("verdict", Verdict)
def test_a_verdict_image_is_a_small_png(client: FlaskClient, verdict: Verdict) -> None:
    answer = client.get(f"/docs/verdicts/{verdict}.png")
    assert (answer.status_code, answer.mimetype) == (200, "image/png")
    assert answer.data.startswith(b"\x89PNG\r\n\x1a\n")
    assert len(answer.data) < 40_000
    with Image.open(io.BytesIO(answer.data)) as picture:
        assert picture.size == (640, 400)


@pytest.mark.parametrize("verdict", ["index", *Verdict])
def test_a_verdict_page_has_no_external_address_and_no_html(verdict: str) -> None:
    assert not re.search(r"://|www\.|<[a-z/!]", text(verdict))


def test_the_index_lists_every_verdict_at_both_addresses(client: FlaskClient) -> None:
    links = Page(client.get("/docs/verdicts").text).all("a", "href")
    assert {f"/docs/verdicts/{verdict}" for verdict in Verdict} <= set(links)
    assert client.get("/docs/verdicts/").data == client.get("/docs/verdicts").data


@pytest.mark.parametrize("name", ["index", "tutorial", "cookbook", "operations", "security", "load"])
def test_other_pages_have_no_html_and_no_external_address(name: str) -> None:
    words = (FOLDER / f"{name}.md").read_text("utf-8")
    assert set(re.findall(r"https?://[0-9a-z.:]+", words)) <= {"http://127.0.0.1:8000", "http://192.168.0.7"}
    assert not re.search(r"^<[a-z/!]", words, re.MULTILINE)
    assert len(words.splitlines()) <= {"tutorial": 300}.get(name, 1000)


def test_the_contents_have_every_page_once() -> None:
    assert {address.partition("/")[0] for address in ORDER} == {
        address.partition("/")[0] for address in (*DOCS, REFERENCE)
    }
    assert len(set(ORDER)) == len(ORDER) == 1 + sum(map(len, CONTENTS.values()))


def test_pages_lead_to_their_neighbours(client: FlaskClient) -> None:
    def turns(path: str) -> dict[str | None, str | None]:
        return {
            attrs["rel"]: attrs["href"]
            for name, attrs in Page(client.get(path).text).tags
            if name == "a" and "rel" in attrs
        }

    assert turns("/docs/index") == {"next": "/docs/start"}
    assert turns("/docs/use") == {"prev": "/docs/tutorial", "next": "/docs/datasets"}
    assert turns("/docs/verdicts/healthy") == {"prev": "/docs/verdicts"}
    assert turns("/docs/load") == {"prev": "/docs/security"}


def test_the_search_has_the_sections_of_all_pages(client: FlaskClient) -> None:
    sections = client.get("/docs/search.json").json or []
    places = {section["address"]: section for section in sections}
    assert {f"/docs/{address}" for address in ORDER} <= places.keys()
    assert places["/docs/running#settings"]["page"] == "Running Rightfit"
    assert "RIGHTFIT_" in places["/docs/running#settings"]["text"]
    assert all(section["title"] and not re.search(r"[`*|]", section["text"]) for section in sections)
    assert not [section for section in sections if section["title"].startswith("Not run by")]


def test_the_old_address_of_the_style_sheet_works(client: FlaskClient) -> None:
    assert client.get("/docs/verdicts/page.css").data == client.get("/docs/page.css").data


@pytest.mark.parametrize("path", ["/docs/reference", "/docs/tutorial", "/docs/verdicts", "/docs/verdicts/healthy.png"])
def test_an_unchanged_page_is_not_sent_again(client: FlaskClient, path: str) -> None:
    etag = client.get(path).headers["ETag"]
    again = client.get(path, headers={"If-None-Match": etag})
    assert (again.status_code, again.data) == (304, b"")
    assert client.get(path, headers={"If-None-Match": '"another"'}).status_code == 200


@pytest.mark.parametrize(
    "name", ["nothing", "nothing.png", "index", "index.png", "healthy.md", "..%2fpage.html", "a/b"]
)
def test_an_unknown_verdict_answers_404(client: FlaskClient, name: str) -> None:
    answer = client.get(f"/docs/verdicts/{name}")
    assert (answer.status_code, answer.mimetype) == (404, "application/problem+json")


def test_the_pages_are_public_even_if_the_api_needs_keys(settings: Settings) -> None:
    app = create_app(replace(settings, auth="keys"))
    assert app.test_client().get("/v1/jobs").status_code == 401
    for path in (*PAGES, "/docs/verdicts/healthy.png"):
        assert app.test_client().get(path).status_code == 200


@pytest.mark.parametrize(
    "path", ["/docs/nothing", "/docs/tutorial.md", "/docs/verdicts.png", "/docs/page.html", "/docs/"]
)
def test_an_unknown_page_answers_404(client: FlaskClient, path: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.mimetype) == (404, "application/problem+json")


def test_the_api_page_keeps_its_own_policy(client: FlaskClient) -> None:
    policy = client.get("/docs").headers["Content-Security-Policy"]
    assert "script-src 'self'; style-src 'self' 'unsafe-inline'" in policy


@pytest.mark.parametrize(("old", "new"), [("years", "operations"), ("watching", "monitoring")])
def test_old_addresses_redirect_permanently(client: FlaskClient, old: str, new: str) -> None:
    answer = client.get(f"/docs/{old}", environ_overrides={"SCRIPT_NAME": "/fit"})
    assert (answer.status_code, answer.headers["Location"]) == (301, f"/fit/docs/{new}")
    assert client.get(f"/docs/{old}", follow_redirects=True).data == client.get(f"/docs/{new}").data


def test_links_include_the_prefix_of_a_proxy(client: FlaskClient) -> None:
    page = Page(client.get("/docs/verdicts", environ_overrides={"SCRIPT_NAME": "/fit"}).text)
    links = set(page.all("a", "href") + page.all("link", "href")) - {"#content"}
    assert links
    assert all(address.startswith("/fit/") for address in links)


@pytest.mark.parametrize("verdict", Verdict)
def test_a_page_lists_the_cures_in_the_order_of_the_advice(verdict: Verdict) -> None:
    listed = [name for name, _ in CURE.findall(section(verdict, "The cure"))]
    assert tuple(listed) == ADVISED[verdict]


@pytest.mark.parametrize("verdict", Verdict)
def test_the_cures_of_a_page_change_the_fields_it_names(verdict: Verdict) -> None:
    items = re.findall(r"^\d+\. .*?(?=^\d+\. |\n\n|\Z)", section(verdict, "The cure"), re.MULTILINE | re.DOTALL)
    assert len(items) >= 2
    for item in items:
        assert CURE.match(item), item
        cures: dict[str, str] = dict(CURE.findall(item))
        assert cures.keys() <= CURES.keys()
        named = set(re.findall(r"`(/[a-z0-9_/]+)`", item))
        changed = frozenset[str]().union(*map(pointers, cures))
        assert named <= changed, item
        assert all(named & pointers(name) if how == "sets" else not pointers(name) for name, how in cures.items())


@pytest.mark.parametrize("verdict", Verdict)
def test_the_commands_of_a_page_fork_by_advice_and_by_patch(verdict: Verdict) -> None:
    by_advice, by_patch = bodies(verdict)
    assert by_advice.keys() == {"advice"}
    assert by_patch.keys() == {"patch"}
    listed = [name for name, _ in CURE.findall(section(verdict, "The cure"))]
    assert by_advice["advice"] in listed
    assert pointers(by_advice["advice"]), "a cure of data is no fork"
    assert {operation["path"] for operation in by_patch["patch"]} <= frozenset[str]().union(*map(pointers, listed))
    plain = JobSpec.from_dict(SPEC).filled(0)
    changed = JobSpec.from_dict(jsonpatch.apply_patch(plain.to_dict(), by_patch["patch"]))
    assert changed != plain
    assert not list(contradictions(changed))


def test_every_pointer_in_the_pages_is_a_field_of_a_spec() -> None:
    plain = json.loads(json.dumps(JobSpec.from_dict(SPEC).filled(0).to_dict()))
    for verdict in Verdict:
        for pointer in re.findall(r"`(/(?!v1/)[a-z0-9_/]+)`", text(verdict)):
            jsonpatch.JsonPointer(pointer).resolve(plain)


def test_a_page_names_all_evidence_of_its_verdict() -> None:
    uneven = rare_note(60, 100)
    assert uneven is not None
    seen = set()
    for run in json.loads(FILE.read_text()):
        diagnosis = diagnose(history(run), facts=Facts.from_dict(run["facts"]), stop_reason=run["stop_reason"])
        seen |= {(note.verdict, e.name) for note in (diagnosis, *diagnosis.notes) for e in note.evidence}
    assert len({verdict for verdict, _ in seen}) > 10
    seen |= {(uneven.verdict, e.name) for e in uneven.evidence}
    missing = {(verdict, name) for verdict, name in seen if f"`{name}`" not in text(verdict)}
    assert not missing


def test_the_running_page_lists_every_setting() -> None:
    table = (FOLDER / "running.md").read_text("utf-8").partition("## Settings")[2]
    named = set(re.findall(r"`([A-Z_]{4,})\b", table))
    assert {field.name.upper() for field in fields(Settings)} <= named


def test_the_links_of_the_readme_lead_to_files() -> None:
    targets = re.findall(r"\]\(([^)]+)\)", (ROOT / "README.md").read_text("utf-8"))
    assert len(targets) > 5
    assert [target for target in targets if not (ROOT / target).is_file()] == []
