"""`rightfit` as a person types it, against the real app."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from service.cli import main, session
from service.core.sql.jobs.store import Lease
from tests.service.api.requests import SPEC
from tests.service.live import Live
from tests.service.worker_steps import claim, epoch, finish

Type = Callable[..., Result]


@pytest.fixture
def rightfit(live: Live, monkeypatch: pytest.MonkeyPatch) -> Type:
    """Types a command line; `stdin=` is what is piped into it. A failure that no script foresees fails the test."""
    monkeypatch.setattr(session, "TRIES", 1)
    runner = CliRunner(env={"RIGHTFIT_URL": live.url, "COLUMNS": "200"})

    def typed(*words: str, stdin: str | None = None, env: dict[str, str] | None = None) -> Result:
        return runner.invoke(main, list(words), input=stdin, env=env)

    return typed


@pytest.fixture
def spec(tmp_path: Path) -> str:
    path = tmp_path / "spec.json"
    path.write_text(json.dumps(SPEC))
    return str(path)


def told(result: Result) -> Any:
    """The one JSON document on stdout."""
    return json.loads(result.stdout)


def worked(live: Live, tmp_path: Path, losses: tuple[float, ...] = (0.9, 0.5, 0.6)) -> Lease:
    """The next job, with epochs of these validation losses, ended in success."""
    lease = claim(live.parts)
    best = float("inf")
    for number, loss in enumerate(losses, 1):
        live.parts.store.append(lease, [epoch(number, loss, improved=loss < best)])
        best = min(best, loss)
    finish(live.parts, lease, tmp_path)
    return lease
