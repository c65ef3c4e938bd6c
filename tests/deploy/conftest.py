"""Fixtures: the build context and the wheel of the images."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy import dockerfile
from tests.deploy.facts import UV
from tests.servers import ROOT


@pytest.fixture(scope="session")
def context(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that .dockerignore admits."""
    folder = tmp_path_factory.mktemp("context")
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    everything, *rules = lines
    assert everything == "*", "files that are not named are excluded"
    for path in (path for rule in rules if rule[0] == "!" for path in ROOT.glob(rule[1:])):
        target = folder / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            shutil.copytree(path, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(path, target)
    return folder


@pytest.fixture(scope="session")
def wheel(context: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the files of the stage `wheel` with the installed setuptools."""
    folder = tmp_path_factory.mktemp("build")
    for copy in (i for i in dockerfile.read()["wheel"].instructions if i.name == "COPY"):
        *sources, target = copy.words.split()
        for source in (context / name for name in sources):
            where = folder / target / ("" if source.is_dir() else source.name)
            shutil.copytree(source, where) if source.is_dir() else _copy(source, where)
    command = [UV, "build", "--wheel", "--offline", "--no-build-isolation", "--python", sys.executable]
    subprocess.run([*command, "--out-dir", "dist", "."], cwd=folder, check=True, capture_output=True)
    return next((folder / "dist").glob("*.whl"))


def _copy(source: Path, where: Path) -> None:
    where.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, where)
