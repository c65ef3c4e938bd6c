"""A short trial; `make network` runs a longer one."""

import os
import shutil
import subprocess
import sys

import pytest

from tests.servers import LIFELINE, ROOT

TOOLS = ("unshare", "nsenter", "ip")


def can_be_run() -> bool:
    """Whether we may make network namespaces, and have what that takes."""
    if os.geteuid() != 0 or not all(map(shutil.which, TOOLS)):
        return False
    return (
        subprocess.run(["unshare", "--net", "ip", "link", "add", "probe", "type", "bridge"], check=False).returncode
        == 0
    )


@pytest.mark.long
@pytest.mark.skipif(not can_be_run(), reason="needs root and iproute2")
def test_disconnected_worker_loses_its_job_and_comes_back() -> None:
    command = [*LIFELINE, "unshare", "--net", sys.executable, "-m", "tests.network.trial", "--jobs", "6"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=220, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
