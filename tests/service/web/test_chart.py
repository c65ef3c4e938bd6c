"""The labels of a chart in a real browser: none touches another, and no line runs through one."""

import itertools
import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, expect

from service.core.records.job import Outcome, Status, StopReason
from tests.browser import DESKTOP, browser, require_chromium, watched, window
from tests.service.live import Live
from tests.service.web.pages import epoch
from tests.service.worker_steps import claim

SMARTPHONE = 390
CASES = 300
FRAME = (60.0, 360.0)
PLACES = """async (cases) => {
  const { placeMarks } = await import('/static/labels.js');
  return cases.map((marks) => placeMarks(marks, 60, 360));
}"""
NUMBERS = """async (cases) => {
  const { placeNumbers } = await import('/static/labels.js');
  const frame = { left: 60, right: 360, top: 20, bottom: 220 };
  return cases.map((points) => placeNumbers(points, 16, 4.5, frame));
}"""
# Records every text, and every vertical line, that is drawn on a canvas.
RECORD = """
  window.drawn = [];
  const { fillText, moveTo, lineTo } = CanvasRenderingContext2D.prototype;
  Object.assign(CanvasRenderingContext2D.prototype, {
    fillText(text, x, y, ...rest) {
      const { width } = this.measureText(text);
      const left = { left: x, right: x - width, center: x - width / 2, start: x, end: x - width }[this.textAlign];
      window.drawn.push({ text, left, right: left + width, top: y - 11, bottom: y + 2 });
      return fillText.call(this, text, x, y, ...rest);
    },
    moveTo(x, y) { this.from = [x, y]; return moveTo.call(this, x, y); },
    lineTo(x, y) {
      if (this.from?.[0] === x) window.drawn.push({ text: '', left: x, right: x, top: this.from[1], bottom: y });
      return lineTo.call(this, x, y);
    },
  });
"""

# Draws the chart anew with the onset at the first epoch, and returns what is drawn then, in CSS pixels.
DRAWN_WITH_ONSET_AT_1 = """async () => {
  document.getElementById('marks').dataset.onset = 1;
  document.getElementById('marks').dataset.verdict = 'stagnant generalization';
  window.drawn.length = 0;
  document.getElementById('log').click();
  await new Promise((done) => setTimeout(done, 300));
  return window.drawn.map((one) => ({ ...one, height: one.bottom - one.top }));
}"""


@pytest.fixture(scope="module")
def started() -> Iterator[Browser]:
    with browser(require_chromium()) as one:
        yield one


def touch(one: dict[str, Any], other: dict[str, Any]) -> bool:
    apart = one["left"] > other["right"] or other["left"] > one["right"]
    return not (apart or one["top"] > other["bottom"] or other["top"] > one["bottom"])


def test_labels_of_marks_never_touch(started: Browser, live: Live) -> None:
    draw = random.Random(1)
    widths = (48.0, 190.0, 56.0)  # of "best: 5", "stagnant generalization since 1", "stop: 15"
    cases = [
        [{"x": draw.choice((60, 61, 64, 80, 200, 340, 357, 360)), "width": width} for width in widths]
        for _ in range(CASES)
    ]
    with watched(started, live.url) as tab:
        tab.page.goto("/diagnose")
        placed = tab.page.evaluate(PLACES, cases)
    for marks, places in zip(cases, placed, strict=True):
        assert len(places) == len(widths)
        assert all(FRAME[0] <= one["start"] and one["start"] + one["width"] <= FRAME[1] for one in places), marks
        boxes = [
            {"left": p["start"], "right": p["start"] + p["width"], "top": -p["row"], "bottom": -p["row"]}
            for p in places
        ]
        assert not any(touch(*pair) for pair in itertools.combinations(boxes, 2)), marks
        for own, other in itertools.permutations(places, 2):
            crosses = other["row"] < own["row"] and other["start"] < own["x"] < other["start"] + other["width"]
            assert not crosses, marks


def test_numbers_stand_in_the_order_of_their_points(started: Browser, live: Live) -> None:
    draw = random.Random(2)
    cases = [
        [
            {"x": draw.choice((60, 80, 340, 360)), "y": draw.uniform(20, 220), "width": 34, "isAbove": at < 2}
            for at in range(draw.randint(1, 4))
        ]
        for _ in range(CASES)
    ]
    with watched(started, live.url) as tab:
        tab.page.goto("/diagnose")
        placed = tab.page.evaluate(NUMBERS, cases)
    for points, places in zip(cases, placed, strict=True):
        boxes = [
            {"left": p["left"], "right": p["left"] + 33.9, "top": p["top"], "bottom": p["top"] + 15.9} for p in places
        ]
        assert all(FRAME[0] <= box["left"] and box["right"] <= FRAME[1] for box in boxes), points
        assert all(box["top"] >= 20 and box["bottom"] <= 220 for box in boxes), (points, places)
        for one, other in itertools.combinations(range(len(points)), 2):
            assert not touch(boxes[one], boxes[other]), points
            if boxes[one]["left"] < boxes[other]["right"] and boxes[other]["left"] < boxes[one]["right"]:
                is_higher = points[one]["y"] < points[other]["y"]
                assert is_higher == (boxes[one]["top"] < boxes[other]["top"]), points


@pytest.mark.parametrize("width", [DESKTOP, SMARTPHONE])
def test_labels_of_a_drawn_chart_are_free(started: Browser, live: Live, width: int) -> None:
    job = httpx.post(f"{live.url}/v1/jobs", json={"dataset": {"id": "digits"}, "epochs": 15}).json()["id"]
    end_after_the_best_epoch(live)
    with window(started, live.url, width) as tab:
        tab.page.add_init_script(RECORD)
        tab.page.goto(f"/jobs/{job}")
        expect(tab.page.locator("#chart")).to_have_attribute("data-points", "15")
        drawn = tab.page.evaluate(DRAWN_WITH_ONSET_AT_1)
    labels = [one for one in drawn if one["text"].startswith(("best", "stop", "guessing", "stagnant"))]
    assert [
        word
        for word in ("best: 14", "stop: 15", "since 1", "guessing")
        if not any(word in one["text"] for one in labels)
    ] == []
    lines = [one for one in drawn if one["height"] > one["right"] - one["left"] and not one["text"]]
    assert len(lines) >= 3
    for one, other in itertools.combinations(labels, 2):
        assert not touch(one, other), (one, other)
    for label, line in itertools.product(
        [one for one in labels if ":" in one["text"] or "since" in one["text"]], lines
    ):
        assert not touch(label, line), (label, line)


def end_after_the_best_epoch(live: Live) -> None:
    """End the next job at epoch 15, with the best epoch 14."""
    lease = claim(live.parts)
    facts = {"images": {"train": 1438, "validation": 359}, "trivial_loss": 2.3, "trivial_accuracy": 0.1}
    live.parts.store.leases.record_facts(lease, facts)
    falling = [replace(epoch(number), val_loss=2 / number, improved=number < 15) for number in range(1, 16)]
    live.parts.store.leases.append(lease, falling)
    live.parts.store.leases.finish(lease, Outcome(Status.SUCCEEDED, StopReason.MAX_EPOCHS), [])
