"""A job from upload to download by the `rightfit` command."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import Serving
from tests.pictures import folders
from tests.servers import ROOT


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder with images in class folders, and with the command in its `bin`."""
    for name, data in folders(each=20).items():
        (tmp_path / "pets" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "pets" / name).write_bytes(data)
    command = tmp_path / "bin" / "rightfit"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m service.cli "$@"\n')
    command.chmod(0o755)
    return tmp_path


def ran(serving: Serving, home: Path, *words: str) -> str:
    env = os.environ | {"RIGHTFIT_URL": serving.url, "PYTHONPATH": str(ROOT)}
    env["PATH"] = f"{home / 'bin'}:{env['PATH']}"
    done = subprocess.run(words, cwd=home, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_upload_train_diagnose_fork_and_download(serving: Serving, home: Path) -> None:
    def rightfit(*words: str) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(ran(serving, home, "rightfit", *words, "--json"))
        return document

    pushed = rightfit("data", "push", "pets", "--wait")
    assert (pushed["status"], pushed["samples"]) == ("ready", 60)
    (home / "spec.yaml").write_text("{model: {arch: mlp, hidden: [16]}, epochs: 12, early_stopping: null}")
    job = rightfit("train", "spec.yaml", "--set", f"dataset.id={pushed['id']}", "--set", "seed=1", "--watch")
    assert (job["status"], job["progress"]["epoch"]) == ("succeeded", 12)
    diagnosis = rightfit("diagnose", job["id"])
    assert diagnosis == job["diagnosis"]
    advice = next(advice for advice in diagnosis["advice"] if advice["patch"])
    cured = rightfit("fork", job["id"], advice["id"], "--watch")
    assert (cured["parent"], cured["status"]) == (job["id"], "succeeded")
    compared = rightfit("compare", job["id"], cured["id"])
    assert [entry["id"] for entry in compared["jobs"]] == [job["id"], cured["id"]]
    got = rightfit("download", cured["id"])
    content = (home / "best_model.pth").read_bytes()
    manifest = httpx.get(f"{serving.url}{cured['links']['artifacts']}").json()["data"]
    expected = {entry["name"]: entry["sha256"] for entry in manifest}["best_model.pth"]
    assert got["sha256"] == expected == hashlib.sha256(content).hexdigest()
