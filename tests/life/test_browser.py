"""A short walk through the dashboard in a real browser, as somebody who has signed in with a key."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from service.core.sql.api_keys import ApiKeys, Scope
from service.core.sql.engine import Database
from tests.browser import JOB_PAGE, Window, watched
from tests.conftest import Serving
from tests.life.form import open_settings
from tests.pictures import folders, zipped
from tests.ports import eventually

OVERFITS = 60  # epochs on few images
SHOWN_AT_THE_END_OF_AN_EPOCH = """async () => {
  (await import('/static/running.js')).showPosition({epoch: 2, batch: 3, batches: 3});
  return document.getElementById('batches').textContent.trim();
}"""
SHOWN_AFTER_AN_EPOCH = """async () => {
  (await import('/static/running.js')).showEpoch({epoch: 99999, val_loss: 1.25, improved: true});
  return document.getElementById('latest').textContent;
}"""
PICTURES = folders(each=10)
UPLOAD_SPEED = 40_000  # bytes a second: slow enough for its progress to be seen


class Guarded(NamedTuple):
    """The address of a stack that requires keys, and two keys."""

    url: str
    writer: str
    reader: str


@pytest.fixture(scope="module")
def guarded(started: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    home = tmp_path_factory.mktemp("guarded") / "home"
    with Serving(home, RIGHTFIT_AUTH="keys") as stack:
        stack.wait_until_ready()
        database = Database(f"sqlite:///{home / 'rightfit.db'}")
        keys = ApiKeys(database)
        guarded = Guarded(stack.url, keys.create("team", [Scope.READ, Scope.WRITE]), keys.create("team", [Scope.READ]))
        database.close()
        yield guarded


@pytest.fixture
def tab(started: Browser, guarded: Guarded) -> Iterator[Window]:
    """A tab that has not signed in."""
    with watched(started, guarded.url) as one:
        yield one


def sign_in(page: Page, key: str) -> None:
    page.goto("/sign-in")
    page.get_by_label("API key").fill(key)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/")


def start_endless(page: Page) -> None:
    """Submit a job that overfits and does not end, by the form."""
    page.goto("/new")
    page.get_by_label("My own settings").check()
    page.get_by_label("network", exact=True).select_option("mlp")
    open_settings(page)
    page.get_by_label("epochs", exact=True).fill("100000")
    page.get_by_label("learning rate", exact=True).fill("0.01")
    page.get_by_label("train limit", exact=True).fill("100")
    page.get_by_label("use early stopping").uncheck()
    page.get_by_role("button", name="Start training").click()
    page.wait_for_url(JOB_PAGE)


def unpack(folder: Path) -> None:
    for name, data in PICTURES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


def cancel(page: Page) -> None:
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#summary .badge.cancelled")).to_be_visible()


def train_on_it(tab: Window) -> None:
    """From the page of a data set: train with the recipe for a good model, for two epochs."""
    page = tab.page
    page.get_by_role("link", name="Train on it").click()
    expect(page.locator("#curl")).to_contain_text('"id": "ds_')
    expect(page.locator("#plan")).to_contain_text("What the goal sets")
    assert tab.violations() == []
    open_settings(page)
    page.get_by_label("epochs", exact=True).fill("2")
    assert tab.violations() == []
    page.get_by_role("button", name="Start training").click()
    page.wait_for_url(JOB_PAGE)
    expect(page.locator("#downloads")).to_be_visible()


def look_at_mistakes(tab: Window, picture: Path) -> None:
    """On the page of a job that has ended: try a picture, and follow a cell of the confusion matrix."""
    page = tab.page
    expect(page.locator(".matrix tbody tr")).to_have_count(3)
    page.locator("#try-form").scroll_into_view_if_needed()
    tab.drop("#try-form", picture)
    expect(page.locator("#said meter")).to_have_count(3)
    page.evaluate("document.getElementById('said').replaceChildren()")
    page.locator("#photo").set_input_files(picture)  # as a camera does
    expect(page.locator("#said meter")).to_have_count(3)
    assert tab.violations() == []
    page.locator(".matrix a").first.click()
    page.wait_for_url("**/mistakes?*")
    assert eventually(lambda: bool(page.evaluate("document.querySelector('.pictures img').naturalWidth > 0")))
    assert tab.violations() == []


@pytest.mark.long
def test_sign_in_with_a_key_and_sign_out(tab: Window, guarded: Guarded) -> None:
    page = tab.page
    page.goto("/datasets")
    page.get_by_label("API key").fill("rf_wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("#fault")).to_contain_text("The API key is unknown")
    assert tab.violations() == []
    page.get_by_label("API key").fill(guarded.writer)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Data sets")  # the page that was requested first
    (cookie,) = page.context.cookies()
    assert (cookie.get("httpOnly"), cookie.get("sameSite")) == (True, "Strict")
    assert page.evaluate("document.cookie") == ""
    assert page.evaluate("fetch('/v1/jobs', {method: 'POST', body: '{}'}).then(answer => answer.status)") == 403
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text("Data sets")
    page.evaluate("document.querySelector('.sign-out [name=csrf]').remove()")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_text("this form was not sent by a page of this site")).to_be_visible()
    page.goto("/")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    assert page.context.cookies() == []
    page.goto("/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    assert [re.sub(r"\D", "", said) for said in tab.complaints] == ["401", "403", "403"]
    tab.complaints.clear()  # Chromium reports each answer that is an error


def test_train_fork_compare_upload_train_and_try(tab: Window, guarded: Guarded, tmp_path: Path) -> None:
    page = tab.page
    sign_in(page, guarded.writer)
    assert tab.violations() == []
    start_endless(page)
    expect(page.locator("#summary .badge.running")).to_be_visible()
    assert eventually(lambda: tab.points() > 3)
    before = tab.points()
    assert eventually(lambda: tab.points() > before + OVERFITS), "the stream brings what is new"
    expect(page.locator("#batches")).to_have_text(re.compile("batch . of 3|waiting for validation"))
    assert page.evaluate(SHOWN_AT_THE_END_OF_AN_EPOCH) == "waiting for validation"
    assert page.evaluate(SHOWN_AFTER_AN_EPOCH) == "validation loss 1.25 at epoch 99999, best 1.25"
    expect(page.locator("#chart canvas")).to_be_visible()
    assert tab.violations() == []
    page.get_by_role("button", name="Cancel").hover()
    page.mouse.down()
    with page.expect_response(lambda answer: answer.url == page.url):
        pass
    page.wait_for_timeout(300)  # the page has been fetched again meanwhile, and the button is still under the finger
    page.mouse.up()
    expect(page.locator("#summary .badge.cancelled")).to_be_visible()

    parent = page.url
    page.locator("#cures summary").click()  # the first cure may need no training
    page.locator("#diagnosis").get_by_role("button", name="Train with it").first.click()
    page.wait_for_url(lambda url: bool(JOB_PAGE.search(url)) and url != parent)
    fork = page.url
    page.get_by_role("link", name="Compare both").click()
    expect(page.locator("#legend label")).to_have_count(2)
    expect(page.locator("#chart canvas")).to_be_visible()
    expect(page.get_by_role("heading", name="Where the specs differ")).to_be_visible()
    assert tab.violations() == []
    page.goto(fork)
    cancel(page)

    unpack(tmp_path / "pets")
    (tmp_path / "pets" / "rows" / "again.png").write_bytes(PICTURES["rows/000.png"])
    page.goto("/datasets")
    assert tab.violations() == []
    tab.slow_down(UPLOAD_SPEED)
    tab.drop("#drop", tmp_path / "pets")
    expect(page.locator("#progress")).to_contain_text(re.compile(r"\d+ % of \d+\.\d KiB"))
    page.wait_for_url("**/datasets/ds_*")
    expect(page.locator("#dataset .badge.ready")).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_have_text("pets")
    expect(page.locator(".bars .figure")).to_have_text(["10", "10", "11"])
    expect(page.locator("#dataset .notice")).to_contain_text("duplicate")
    assert eventually(lambda: bool(page.evaluate("document.querySelector('.sheet').naturalWidth > 0")))
    assert tab.violations() == []

    train_on_it(tab)
    look_at_mistakes(tab, tmp_path / "pets" / "rows" / "000.png")


def test_form_starts_a_fit_with_its_settings(tab: Window, guarded: Guarded) -> None:
    page = tab.page
    sign_in(page, guarded.writer)
    page.goto("/new")
    expect(page.get_by_label("Minutes", exact=True)).to_be_hidden()
    page.get_by_label("Best in some minutes").check()
    expect(page.get_by_label("Test pictures, %")).to_have_value("20")
    expect(page.locator("#split-words")).to_have_text(re.compile(r"[\d,]+ training · [\d,]+ validation · [\d,]+ test$"))
    page.get_by_label("network", exact=True).select_option("mlp")
    page.get_by_label("Minutes", exact=True).fill("0")
    page.get_by_role("button", name="Start the fit").click()
    expect(page.locator("#minutes-fault")).to_contain_text("0.2 to")
    tab.complaints.clear()  # Chromium reports each answer that is an error
    page.get_by_label("Minutes", exact=True).fill("5")
    expect(page.locator("#plan")).to_contain_text("5 min of search")
    expect(page.locator("#plan")).to_contain_text("The first trials")
    assert tab.violations() == []
    page.get_by_role("button", name="Start the fit").click()
    page.wait_for_url("**/fits/fit_*")
    given = {"Authorization": f"Bearer {guarded.writer}"}
    fit = httpx.get(f"{guarded.url}/v1/fits/{page.url.rpartition('/')[2]}", headers=given).json()
    assert fit["name"].startswith("digits · fit · ")
    assert fit["spec"]["model"]["arch"] == "mlp"
    assert (fit["budget"]["minutes"], fit["spec"]["dataset"]["test_fraction"]) == (5, 0.2)
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator(".badge.cancelled").first).to_be_visible()


@pytest.mark.parametrize(
    "files",
    [["shapes.zip"], pytest.param(["rows", "columns", "checks"], marks=pytest.mark.long)],
    ids=["zip", "folders"],
)
def test_drop_of_archive_or_class_folders_uploads_them(
    tab: Window, guarded: Guarded, tmp_path: Path, files: list[str]
) -> None:
    unpack(tmp_path)
    (tmp_path / "shapes.zip").write_bytes(zipped(PICTURES))
    sign_in(tab.page, guarded.writer)
    tab.page.goto("/datasets")
    tab.drop("#built-in-title", *(tmp_path / file for file in files))
    tab.page.wait_for_url("**/datasets/ds_*")
    expect(tab.page.locator(".bars dt")).to_have_text(["checks", "columns", "rows"])


@pytest.mark.long
def test_upload_with_options_says_what_is_left_out(tab: Window, guarded: Guarded, tmp_path: Path) -> None:
    page, folder = tab.page, tmp_path / "pets"
    unpack(folder)
    for name in (".git/config", ".git/HEAD", "rows/Thumbs.db", "@eaDir/rows/000.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    (folder / "rows" / "broken.png").write_bytes(b"x")
    rows = "".join(f"{name},{'even' if name < 'r' else 'odd'}\n" for name in [*PICTURES, "rows/broken.png"])
    (tmp_path / "labels.csv").write_text(f"file_name,label\n{rows}")
    sign_in(page, guarded.writer)
    page.goto("/datasets")
    page.get_by_text("More", exact=True).click()
    assert tab.violations() == []
    page.get_by_label("Label file").set_input_files(tmp_path / "labels.csv")
    page.get_by_label("leave out broken files").check()
    page.get_by_label("Background").select_option("mean colour of the set")
    tab.drop("#drop", folder)
    page.wait_for_url("**/datasets/ds_*")
    expect(page.locator("#remarks p")).to_have_text(
        [
            "left out 1 hidden file or folder: .git",
            "left out 2 files or folders that systems or tools made: @eaDir, rows/Thumbs.db",
        ]
    )
    expect(page.locator(".bars dt")).to_have_text(["even", "odd"])
    expect(page.locator(".facts")).to_contain_text("mean colour of the set")
    expect(page.locator("#dataset .notice").filter(has_text="rows/broken.png")).to_be_visible()
    assert tab.violations() == []


@pytest.mark.long
def test_failed_data_sets_are_deleted_and_searches_are_kept(tab: Window, guarded: Guarded) -> None:
    page = tab.page
    sign_in(page, guarded.writer)
    given = {"Authorization": f"Bearer {guarded.writer}", "Content-Type": "application/zip"}
    for name in ("one", "two"):
        httpx.post(f"{guarded.url}/v1/datasets?name={name}", headers=given, content=zipped({"a/b.png": b"no picture"}))
    page.goto("/datasets")
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Delete failed (2)").click()
    expect(page.get_by_role("button", name="Delete failed")).to_have_count(0)
    expect(page.locator("#own .failed")).to_have_count(0)

    page.goto("/?q=nothing&status=failed")
    page.get_by_role("button", name="Keep this search").click()
    page.goto("/")
    page.get_by_role("link", name="nothing, failed").click()
    page.wait_for_url("**/?q=nothing&status=failed")
    expect(page.get_by_role("button", name="Keep this search")).to_be_hidden()
    assert tab.violations() == []
    page.get_by_role("button", name="Forget the search nothing, failed").click()
    expect(page.locator("#saved")).to_be_hidden()


@pytest.mark.long
def test_the_list_of_jobs_works_without_storage(tab: Window, guarded: Guarded) -> None:
    page = tab.page
    sign_in(page, guarded.writer)
    page.add_init_script("Object.defineProperty(window, 'localStorage', { get() { throw new Error('off'); } })")
    page.goto("/?q=nothing&status=failed")
    page.get_by_role("button", name="Keep this search").click()
    expect(page.locator("body")).to_contain_text("This browser keeps no searches")


def test_history_is_pasted_then_another_one_is_dropped(tab: Window, guarded: Guarded, tmp_path: Path) -> None:
    page = tab.page
    losses = [(1 / n, 0.5 + abs(n - 6) / 10) for n in range(1, 21)]
    log = "\n".join(f"Epoch {n}/20, train loss: {a:.4f}, val loss: {b:.4f}" for n, (a, b) in enumerate(losses, start=1))
    (tmp_path / "history.csv").write_text("loss,val_loss\n" + "\n".join(f"{a},{b}" for a, b in losses[:12]))
    sign_in(page, guarded.reader)
    page.get_by_role("link", name="Diagnose").click()
    assert tab.violations() == []
    page.get_by_label("Or paste a log").fill(log)
    page.get_by_role("button", name="Diagnose").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile("Diagnosis: over"))
    expect(page.locator("#chart canvas")).to_be_visible()
    expect(page.locator("#chart")).to_have_attribute("data-points", "20")
    assert tab.violations() == []
    tab.drop("#verdict", tmp_path / "history.csv")
    expect(page.locator("#read")).to_contain_text("12 epochs of ")
    expect(page.locator("#chart")).to_have_attribute("data-points", "12")


@pytest.mark.long
def test_reader_sees_pages_without_buttons(tab: Window, guarded: Guarded) -> None:
    key = {"Authorization": f"Bearer {guarded.writer}"}
    spec = {"dataset": {"id": "digits", "train_limit": 100}, "model": {"arch": "mlp"}, "epochs": 2}
    httpx.post(f"{guarded.url}/v1/jobs", json=spec, headers=key).raise_for_status()
    page = tab.page
    sign_in(page, guarded.reader)
    page.locator("tbody th a").first.click()
    expect(page.locator("#chart canvas")).to_be_visible()
    expect(page.get_by_text("the scope write")).to_be_visible()
    assert page.locator("main :is([data-post], [data-delete])").count() == 0
    assert tab.violations() == []
    page.get_by_role("link", name="Data sets").click()
    expect(page.get_by_role("heading", name="Built in")).to_be_visible()
    assert page.locator("main").get_by_role("button").count() == 0
    assert tab.violations() == []
