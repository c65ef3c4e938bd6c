"""A worker process that cannot work logs the reason and ends, so that it consumes no hints."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import ROOT


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("RIGHTFIT_STORAGE_URL", "ftp://x", "RIGHTFIT_STORAGE_URL is 'ftp://x'; allowed"),
        ("RIGHTFIT_DATABASE_URL", "nonsense", "RIGHTFIT_DATABASE_URL cannot be used"),
        ("RIGHTFIT_THREADS", "0", "RIGHTFIT_THREADS is '0'; allowed"),
    ],
)
def test_a_worker_that_cannot_be_set_up_ends_with_the_reason(
    tmp_path: Path, variable: str, value: str, words: str
) -> None:
    env = {"RIGHTFIT_HOME": str(tmp_path), variable: value, "PATH": "/usr/bin:/bin"}
    ran = subprocess.run(
        [sys.executable, "-m", "workers"], cwd=ROOT, env=env, capture_output=True, text=True, timeout=120, check=False
    )
    assert ran.returncode == 1
    assert words in ran.stderr
    assert "Traceback" not in ran.stderr
