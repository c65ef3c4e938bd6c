"""Draws the pictures of the quick start and the README anew: `python -m tests.guide_pictures`. Needs Chromium."""

import io
import math
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
from PIL import Image, ImageDraw
from playwright.sync_api import Page, expect

from service.core.settings import Settings
from service.docs import FOLDER
from service.stack.standalone import Stack
from tests.browser import JOB_PAGE, PATIENCE_MS, browser, require_chromium, window
from tests.pictures import zipped
from tests.ports import eventually

IMAGES = FOLDER / "images"
HEIGHT = 800  # pixels of a picture; the window is 1280 wide
COLOURS = 64  # of a picture's palette, so that the files stay small
SETTLED_MS = 1500  # for the chart, and for the plan of the form
SIDE, EACH, CLASSES = 32, 60, ("circle", "square", "star", "triangle")
WRONG = 0.25  # share of the labels that are drawn at random, so that the run of the README overfits
SECONDS = 900  # the longest training, on a busy machine
SPEC = {"name": "shapes · cnn · 1", "seed": 1, "epochs": 40}


def main() -> None:
    expect.set_options(timeout=PATIENCE_MS)
    with (
        tempfile.TemporaryDirectory(prefix="rightfit-pictures-") as home,
        Stack(Settings.from_env({"RIGHTFIT_HOME": home, "RIGHTFIT_PORT": "0"})) as stack,
        httpx.Client(base_url=f"{stack.url}/v1", timeout=60) as client,
        browser(require_chromium()) as started,
        window(started, stack.url) as tab,
    ):
        tab.page.set_viewport_size({"width": 1280, "height": HEIGHT})
        archive = Path(home, "shapes.zip")
        archive.write_bytes(zipped(dict(_shapes(wrong=0))))
        _walk(tab.page, client, archive)
        sent = client.post("/datasets?name=shapes", files={"file": ("a.zip", zipped(dict(_shapes(WRONG))))}).json()
        eventually(lambda: client.get(f"/datasets/{sent['id']}").json()["status"] == "ready")
        job = client.post("/jobs", json=SPEC | {"dataset": {"id": sent["id"]}}).raise_for_status().json()
        _finish(client, job["id"])
        tab.page.goto(f"/jobs/{job['id']}")
        _take(tab.page, "job")


def _walk(page: Page, client: httpx.Client, archive: Path) -> None:
    """The steps of the quick start, with a picture of each."""
    page.goto("/datasets")
    _take(page, "start_upload")
    page.locator("#archive").set_input_files(archive)
    page.wait_for_url("**/datasets/ds_*")
    expect(page.locator("#condition")).to_have_attribute("data-status", "ready")
    _take(page, "start_data")
    page.get_by_role("link", name="Train on it").click()
    page.get_by_label("Good model").check()
    page.locator("[data-pointer='/dataset/test_fraction']").fill("15")
    page.get_by_label("Good model").focus()
    _take(page, "start_form")
    page.get_by_role("button", name="Start training").click()
    page.wait_for_url(JOB_PAGE)
    _finish(client, page.url.rpartition("/")[2])
    page.reload()
    _take(page, "start_result")


def _finish(client: httpx.Client, job: str) -> None:
    eventually(lambda: bool(client.get(f"/jobs/{job}?wait=30").json()["is_terminal"]), SECONDS)


def _take(page: Page, name: str) -> None:
    page.wait_for_timeout(SETTLED_MS)
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    picture.quantize(COLOURS, dither=Image.Dither.NONE).save(IMAGES / f"{name}.png", optimize=True)
    print(IMAGES / f"{name}.png")


def _shapes(wrong: float) -> Iterator[tuple[str, bytes]]:
    random = np.random.default_rng(0)
    for shape in CLASSES:
        for number in range(EACH):
            label = str(random.choice(CLASSES)) if random.random() < wrong else shape
            yield f"{label}/{shape}{number:02}.png", _drawn(shape, random)


def _drawn(shape: str, random: np.random.Generator) -> bytes:
    """A noisy PNG of a bright shape on a dark ground, with random colours, size, place and a small turn."""
    ground = tuple(int(value) for value in random.integers(0, 90, 3))
    ink = tuple(int(value) for value in random.integers(150, 256, 3))
    picture = Image.new("RGB", (SIDE, SIDE), ground)
    pen = ImageDraw.Draw(picture)
    x, y = random.uniform(SIDE * 0.4, SIDE * 0.6, 2)
    r, angle = random.uniform(SIDE * 0.2, SIDE * 0.35), random.uniform(-0.3, 0.3)
    if shape == "circle":
        pen.ellipse((x - r, y - r, x + r, y + r), fill=ink)
    else:
        corners = {"square": 4, "star": 10, "triangle": 3}[shape]
        radii = [r if shape != "star" or corner % 2 else r / 2.5 for corner in range(corners)]
        turns = [angle + 2 * math.pi * (corner + 0.5) / corners for corner in range(corners)]
        pen.polygon([(x + q * math.cos(t), y + q * math.sin(t)) for q, t in zip(radii, turns, strict=True)], fill=ink)
    noisy = np.asarray(picture) + random.normal(0, 12, (SIDE, SIDE, 3))
    buffer = io.BytesIO()
    Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


if __name__ == "__main__":
    main()
