"""The dashboard in a real browser, in more detail than each run of the tests needs: every page at two widths, the
keyboard alone, long curves.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from playwright.sync_api import Browser, expect
from sqlalchemy import insert, select

from service.core.sql.engine import Database
from service.core.sql.tables import epochs
from tests.browser import DESKTOP, JOB_PAGE, PHONE, Window, watched, window
from tests.conftest import Serving
from tests.life.form import open_settings
from tests.pictures import encoded
from tests.ports import eventually

pytestmark = pytest.mark.long

SMALL: dict[str, Any] = {
    "dataset": {"id": "digits", "train_limit": 100},
    "model": {"arch": "mlp", "hidden": [32]},
    "seed": 3,
}
IS_OUTLINED = """() => {
  const focused = document.activeElement;
  const seen = focused.classList.contains('unseen') ? focused.labels[0] : focused;
  return getComputedStyle(seen).outlineStyle !== 'none';
}"""
MANY = 10_000  # epochs
TABS = 6  # connections that a browser makes to one service


@pytest.fixture
def tab(started: Browser, serving: Serving) -> Iterator[Window]:
    """A tab on the stack."""
    with watched(started, serving.url) as one:
        yield one


def ended(serving: Serving, **changes: Any) -> str:
    """The id of a job that has been run."""
    job = httpx.post(f"{serving.url}/v1/jobs", json=SMALL | changes).raise_for_status().json()
    address = f"{serving.url}/v1/jobs/{job['id']}?wait=20"
    assert eventually(lambda: bool(httpx.get(address, timeout=30).json()["is_terminal"]), 120)
    return str(job["id"])


def small_fit(serving: Serving) -> str:
    """The id of a fit that runs."""
    request = {"dataset": SMALL["dataset"], "spec": {"model": SMALL["model"], "epochs": 2}, "jobs": 3, "seed": 1}
    return str(httpx.post(f"{serving.url}/v1/fits", json=request).raise_for_status().json()["id"])


def small_ablation(serving: Serving) -> str:
    """The id of an ablation that runs."""
    request = {"spec": SMALL | {"epochs": 2}, "factors": ["dropout"], "seeds": 3}
    return str(httpx.post(f"{serving.url}/v1/ablations", json=request).raise_for_status().json()["id"])


def test_job_is_submitted_watched_and_cancelled(tab: Window) -> None:
    page = tab.page
    page.goto("/")
    page.get_by_role("link", name="New job").first.click()
    page.get_by_label("name", exact=True).fill("by the form")
    page.get_by_label("My own settings").check()
    open_settings(page)
    page.get_by_label("epochs", exact=True).fill("many")
    page.get_by_role("button", name="Start training").click()
    expect(page.get_by_label("epochs", exact=True)).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_role("alert").first).to_contain_text("1 setting")
    page.get_by_label("epochs", exact=True).fill("100000")
    page.get_by_label("network", exact=True).select_option("mlp")
    page.get_by_label("use early stopping").uncheck()
    expect(page.locator("#curl")).to_contain_text('"early_stopping": null')
    expect(page.locator("#curl")).to_contain_text('"arch": "mlp"')
    page.get_by_role("button", name="Check only").click()
    expect(page.locator("#plan")).to_contain_text("parameters")
    tab.complaints.clear()  # Chromium reports each answer that is an error, here the first one
    page.get_by_role("button", name="Start training").click()
    page.wait_for_url(JOB_PAGE)
    expect(page.locator("#summary .badge.running")).to_be_visible()
    assert eventually(lambda: tab.points() > 3)
    before = tab.points()
    assert eventually(lambda: tab.points() > before + 3)
    expect(page.locator("#chart canvas")).to_be_visible()
    expect(page.locator("#reading")).to_contain_text("validation")
    page.get_by_label("log scale").check()
    page.get_by_label("Show", exact=True).select_option("accuracy")
    expect(page.locator("#legend label")).to_have_count(2)
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#summary .badge.cancelled")).to_be_visible()
    expect(page.locator("#marks")).to_have_attribute("data-ended", "yes")
    page.locator("#patience summary").click()
    expect(page.locator("#settings table")).to_be_visible()


def test_advice_is_applied_and_both_jobs_are_compared(tab: Window, serving: Serving) -> None:
    page = tab.page
    parent = ended(serving, name="parent", epochs=40, optimizer={"lr": 1e-2}, early_stopping=None)
    page.goto(f"/jobs/{parent}")
    expect(page.locator("#chart")).to_have_attribute("data-points", "40")
    page.locator("#diagnosis").get_by_role("button").first.click()
    page.wait_for_url(lambda url: bool(JOB_PAGE.search(url)) and parent not in url)
    expect(page.get_by_text("Forked from")).to_contain_text("by the advice")
    expect(page.locator("#summary .badge:is(.succeeded, .failed)")).to_be_visible()
    page.goto("/?q=parent")
    expect(page.locator("tbody tr")).to_have_count(2)
    for box in page.locator(".pick input").all():
        box.check()
    page.wait_for_timeout(2500)  # the list has been fetched again meanwhile, and the choice is still there
    page.get_by_role("button", name="Compare selected").click()
    expect(page.locator("#chart canvas")).to_be_visible()
    expect(page.locator("#legend label")).to_have_count(2)
    expect(page.get_by_role("heading", name="Where the specs differ")).to_be_visible()
    assert page.locator("main table").last.locator("tbody tr").count() >= 1


def test_folder_of_images_is_uploaded_and_shown(tab: Window, tmp_path: Path) -> None:
    page = tab.page
    draw = np.random.default_rng(1)
    folder = tmp_path / "pets"
    for name in ("cats", "dogs and others", "mäuse"):
        (folder / name).mkdir(parents=True)
        for number in range(8):
            long = "x" * 120 if number == 0 else ""
            picture = draw.integers(0, 255, (20, 20, 3), np.uint8)
            (folder / name / f"{long}{number}.png").write_bytes(encoded(picture))
    (folder / ".hidden").write_text("not a picture")
    page.goto("/datasets")
    page.locator("#folder").set_input_files(folder)
    page.wait_for_url("**/datasets/ds_*")
    expect(page.locator("#dataset .badge.ready")).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_have_text("pets")
    expect(page.locator(".bars dt")).to_have_text(["cats", "dogs and others", "mäuse"])
    expect(page.locator(".bars .figure")).to_have_text(["8", "8", "8"])
    assert eventually(lambda: bool(page.evaluate("document.querySelector('.sheet').naturalWidth === 312")))
    assert tab.violations() == []
    page.get_by_role("link", name="Train on it").click()
    expect(page.locator("#curl")).to_contain_text('"id": "ds_')


def test_file_that_is_no_archive_is_refused_with_help(tab: Window, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("words")
    tab.page.goto("/datasets")
    tab.page.locator("#archive").set_input_files(tmp_path / "notes.txt")
    expect(tab.page.get_by_role("alert")).to_contain_text("Upload a folder, or one of .zip")


@pytest.mark.parametrize("width", [PHONE, DESKTOP])
def test_every_page_is_accessible_and_fits_the_screen(started: Browser, serving: Serving, width: int) -> None:
    one, other = ended(serving, epochs=12), ended(serving, epochs=3)
    paths = [
        "/",
        "/?q=nothing-at-all",
        f"/jobs/{one}",
        f"/jobs/{one}/mistakes",
        "/new",
        "/diagnose",
        "/compare",
        f"/compare?jobs={one},{other}",
        "/datasets",
        "/datasets/digits",
        "/fits",
        f"/fits/{small_fit(serving)}",
        f"/ablations/{small_ablation(serving)}",
        *(f"/new?goal={goal}" for goal in ("good", "quick", "fit", "own")),
        *(f"/docs/{name}" for name in ("index", "tutorial", "use", "reference", "verdicts/overfitting")),
    ]
    missing = ["/jobs/nothing", "/nowhere", "/v1/jobs/nothing", "/docs/nowhere"]
    with window(started, serving.url, width) as tab:
        for path in [*paths, *missing]:
            tab.page.goto(path)
            if tab.page.locator("#chart").count():
                expect(tab.page.locator("#chart canvas")).to_be_visible()
            assert tab.violations() == [], path
            assert tab.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        assert tab.hosts == {serving.url.removeprefix("http://")}
        assert len(tab.complaints) == len(missing), "of the pages that are not there"


def test_pages_work_with_the_keyboard_alone(tab: Window, serving: Serving) -> None:
    page = tab.page
    job = ended(serving, epochs=5)
    page.goto("/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"
    for _ in range(60):
        page.keyboard.press("Tab")
        assert page.evaluate(IS_OUTLINED), page.evaluate("document.activeElement.outerHTML")
        if page.evaluate("document.activeElement.id") == f"to-{job}":
            break
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/jobs/{job}")
    page.goto("/datasets")
    page.locator("#more summary").focus()
    for name in ("folder", "archive"):  # inputs that are not seen: their labels are
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.id") == name
        assert page.evaluate(IS_OUTLINED)
    page.go_back()
    page.locator("#epoch").focus()
    page.keyboard.press("Home")
    expect(page.locator("#reading")).to_contain_text("epoch 1:")


def test_forms_and_charts_work_with_the_keyboard_alone(tab: Window, serving: Serving) -> None:
    page = tab.page
    job = ended(serving, epochs=5)
    fit = f"/fits/{small_fit(serving)}"
    httpx.post(f"{serving.url}/v1{fit}/cancel").raise_for_status()
    assert eventually(lambda: httpx.get(f"{serving.url}/v1{fit}").json()["status"] == "cancelled")
    for path, last in ((f"/jobs/{job}", "written"), (fit, "decisions"), ("/fits", "begin"), ("/new", "start")):
        page.goto(path)
        reached = ""
        for _ in range(150):
            page.keyboard.press("Tab")
            assert page.evaluate(IS_OUTLINED), page.evaluate("document.activeElement.outerHTML")
            reached = page.evaluate("document.activeElement.closest('[id]:not(summary, a)')?.id ?? ''")
            if page.evaluate(f"document.getElementById('{last}').contains(document.activeElement)"):
                break
        else:
            pytest.fail(f"Tab did not reach {last} of {path}, but {reached}")
    page.goto("/new")
    page.locator("[name=goal]:checked").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_label("Best in some minutes")).to_be_checked()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "minutes"
    page.goto(f"/jobs/{job}")
    page.locator("#measure").focus()
    page.keyboard.press("ArrowDown")
    expect(page.locator("#legend label")).to_have_count(2)
    page.locator("#picture").focus()
    assert page.evaluate(IS_OUTLINED)


def test_ten_thousand_epochs_are_drawn_smoothly(tab: Window, serving: Serving) -> None:
    job = ended(serving, epochs=2)
    database = Database(f"sqlite:///{serving.home / 'rightfit.db'}")
    with database.write() as c:  # as if the run had been so long
        row = dict(c.execute(select(epochs).where(epochs.c.job_id == job, epochs.c.epoch == 2)).mappings().one())
        more = [row | {"epoch": n, "val_loss": 1 + n % 97 / 97, "improved": False} for n in range(3, MANY + 1)]
        c.execute(insert(epochs), more)
    database.close()
    tab.page.goto(f"/jobs/{job}")
    expect(tab.page.locator("#chart canvas")).to_be_visible()
    assert 1000 < tab.points() <= 2000
    median = tab.page.evaluate(
        """async () => {
          const times = [];
          for (let turn = 0; turn < 10; turn += 1) {
            const began = performance.now();
            document.getElementById('log').click();
            await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
            times.push(performance.now() - began);
          }
          return times.sort((a, b) => a - b)[5];
        }"""
    )
    assert median < 500, "milliseconds of one complete drawing"


def test_hidden_tabs_do_not_block_visible_ones(tab: Window, serving: Serving) -> None:
    job = httpx.post(f"{serving.url}/v1/jobs", json=SMALL | {"epochs": 100_000, "early_stopping": None}).json()
    page = tab.page
    page.goto(f"/jobs/{job['id']}")
    assert eventually(lambda: tab.points() > 0)
    for _ in range(TABS):
        behind = page.context.new_page()
        behind.goto(page.url)
        behind.evaluate("Object.defineProperty(document, 'hidden', {get: () => true, configurable: true})")
        behind.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    before = tab.points()
    assert eventually(lambda: tab.points() > before)
    last = Window(behind)
    before = last.points()
    behind.evaluate("delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))")
    assert eventually(lambda: last.points() > before), "a tab continues once it is visible again"
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#summary .badge.cancelled")).to_be_visible()
