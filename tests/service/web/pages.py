"""Jobs to show on pages, and the check that a page is complete."""

import html
import json
import re
from pathlib import Path
from typing import Any

from flask.testing import FlaskClient

from service.core.records.epoch import Epoch
from service.core.records.job import Outcome, Phase, Status, StopReason
from service.services import Services
from service.web.blueprint import POLICY

SPEC: dict[str, Any] = {"dataset": {"id": "digits"}, "epochs": 30}
LARGEST = 300_000  # bytes of a page with all that it loads
LOADED = re.compile(
    r'(?:src|data-history|<link[^>]* href)="(/[^"]+)"'
)  # by its HTML: scripts, styles, pictures, curves
WITHOUT_SCRIPTS = re.compile(r"<noscript>.*?</noscript>", re.DOTALL)
IMPORTED = re.compile(r"from '\./([^']+)'")  # by a script
OUTSIDE = re.compile(r"(?:https?:)?//(?!127\.0\.0\.1)[a-z0-9.-]+\.[a-z]{2,}", re.IGNORECASE)


def submit(client: FlaskClient, **changes: Any) -> str:
    answer = client.post("/v1/jobs", json=SPEC | changes)
    assert answer.status_code == 202, answer.text
    job_id: str = json.loads(answer.text)["id"]
    return job_id


def epoch(number: int) -> Epoch:
    """An epoch of a run that overfits after its tenth epoch."""
    loss = 2.3 / number if number <= 10 else 0.23 + 0.05 * (number - 10)
    return Epoch(number, 2.3 / number, 2.2 / number, loss, 0.9, 0.8, 0.0, 1e-3, 0.1, 10.0, number <= 10, 0)


def run(parts: Services, tmp_path: Path, count: int = 30, status: Status = Status.SUCCEEDED) -> None:
    """Play the worker of the next job, which publishes a model."""
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


def looks_right(client: FlaskClient, path: str, status: int = 200) -> str:
    """Get a page and check its policy and its landmarks. Returns the text."""
    answer = client.get(path)
    assert (answer.status_code, answer.mimetype) == (status, "text/html"), answer.text
    assert answer.headers["Content-Security-Policy"] == POLICY
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert not OUTSIDE.search(answer.text)
    assert not re.search(r"<script(?![^>]* src=)|<style| style=| on[a-z]+=", answer.text), "nothing inline"
    for landmark in ("<header>", '<nav aria-label="Main">', '<main id="content"', 'class="skip"', 'lang="en"', "<h1"):
        assert landmark in answer.text
    return answer.text


def expect_small(client: FlaskClient, page: str) -> None:
    """Check the bytes of a page with everything it loads: scripts and what they import, styles, pictures, curves."""
    sizes = {"the page": len(page.encode())}
    waiting = [html.unescape(path) for path in LOADED.findall(WITHOUT_SCRIPTS.sub("", page))]
    while waiting:
        if (path := waiting.pop()) not in sizes:
            answer = client.get(path)
            sizes[path] = len(answer.data)
            if answer.mimetype == "text/javascript" and "/chart/" not in path:
                waiting += [f"/static/{name}" for name in IMPORTED.findall(answer.text)]
    assert sum(sizes.values()) < LARGEST, f"{sum(sizes.values()):,} bytes, allowed: {LARGEST:,}; of these {sizes}"
