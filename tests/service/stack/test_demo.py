"""The demo as a person and as a script see it: words on stderr, where JSON is asked for on stdout."""

import json
import os
import subprocess
import sys

from tests.conftest import THREADS
from tests.servers import ROOT


def test_the_demo_trains_verifies_and_cleans_up() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "service.cli", "demo", "--json"],
        cwd=ROOT,
        env=os.environ | THREADS,
        capture_output=True,
        text=True,
        timeout=230,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    words = " ".join(ran.stderr.split())
    assert words.count("best: epoch") == 2, "two curves, the best epoch marked"
    assert words.count('"agree": true') == 2
    assert "stagnant_generalization: Validation loss was lowest at epoch" in words
    assert "lowered the best validation loss" in words
    assert "Everything is stopped and deleted" in words
    assert "rightfit fit digits --minutes 1" in words
    jobs = json.loads(ran.stdout)["data"]
    assert [job["spec"]["name"] for job in jobs] == ["plain", "regularized"]
    assert all(job["verified"] and job["diagnosis"]["is_final"] for job in jobs)
