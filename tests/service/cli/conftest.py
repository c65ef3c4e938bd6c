"""The command against the real app."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from service.cli import main, session
from tests.service.api.requests import SPEC
from tests.service.cli.commands import Command
from tests.service.live import Live


@pytest.fixture
def rightfit(live: Live, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs `rightfit` with these arguments against the service; `stdin` is its input."""
    monkeypatch.setattr(session, "TRIES", 1)
    runner = CliRunner(env={"RIGHTFIT_URL": live.url, "COLUMNS": "200"})

    def run(*words: str, stdin: str | None = None, env: dict[str, str] | None = None) -> Result:
        return runner.invoke(main, list(words), input=stdin, env=env)

    return run


@pytest.fixture
def spec(tmp_path: Path) -> str:
    path = tmp_path / "spec.json"
    path.write_text(json.dumps(SPEC))
    return str(path)
