"""What the images run, run here: by their own commands, in their own environment."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy import dockerfile
from tests.deploy.facts import BINARIES, UV
from tests.ports import eventually, free_port
from tests.servers import LIFELINE, ROOT

MEBIBYTE = 1 << 20


@pytest.fixture
def inside(tmp_path: Path) -> dict[str, str]:
    """The environment of an API container, but for where it listens and writes."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("RIGHTFIT_")}
    ours = {n: v for n, v in dockerfile.environment("api").items() if n.startswith(("RIGHTFIT_", "PYTHON"))}
    own = {"RIGHTFIT_HOME": str(tmp_path), "RIGHTFIT_REDIS_URL": "redis://127.0.0.1:1/0", "PYTHONPATH": str(ROOT)}
    return clean | ours | own | {"RIGHTFIT_PORT": str(free_port()), "PATH": f"{BINARIES}:{clean['PATH']}"}


def serving() -> list[str]:
    """What the API's image runs, from here."""
    return [word.replace("/etc/rightfit", str(ROOT / "deploy")) for word in dockerfile.command("api")]


def healthy(target: str, env: dict[str, str]) -> bool:
    command = dockerfile.last(target, "HEALTHCHECK").command
    return subprocess.run(command, env=env, capture_output=True, check=False).returncode == 0


def test_what_the_api_runs_serves_and_its_health_check_tells(inside: dict[str, str], tmp_path: Path) -> None:
    env = inside | {"RIGHTFIT_HOST": "127.0.0.1"}
    process = subprocess.Popen([*LIFELINE, *serving()], env=env, cwd=tmp_path, stderr=subprocess.DEVNULL)
    try:
        assert eventually(lambda: healthy("api", env))
        assert healthy("worker", env | {"RIGHTFIT_METRICS_PORT": env["RIGHTFIT_PORT"]})
    finally:
        process.terminate()
        assert process.wait(30) == 0
    assert not healthy("api", env)
    assert not healthy("worker", env | {"RIGHTFIT_METRICS_PORT": env["RIGHTFIT_PORT"]})


def test_the_image_of_the_api_listens_beyond_loopback_and_refuses_to_without_keys(inside: dict[str, str]) -> None:
    assert (inside["RIGHTFIT_HOST"], inside["RIGHTFIT_AUTH"]) == ("0.0.0.0", "keys")  # noqa: S104
    open_door = inside | {"RIGHTFIT_AUTH": "none"}
    refused = subprocess.run(serving(), env=open_door, capture_output=True, text=True, timeout=60, check=False)
    assert refused.returncode != 0
    assert "RIGHTFIT_ALLOW_NO_AUTH" in refused.stdout + refused.stderr


def test_the_configuration_in_the_image_needs_nothing_beside_it() -> None:
    tree = ast.parse((ROOT / "deploy" / "gunicorn.conf.py").read_text())
    imported = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert all(name.startswith("service.") for name in imported)


def installed(folder: Path, lock: str, wheel: Path) -> Iterator[list[str]]:
    """The commands of the stage that installs it, for a virtual environment in that folder."""
    yield [UV, "venv", "--python", sys.executable, str(folder)]
    where = ["--compile-bytecode", "--link-mode", "copy", "--python", f"{folder}/bin/python"]
    locked = f"{ROOT}/deploy/locks/{lock}.txt"
    yield [UV, "pip", "sync", *where, "--require-hashes", "--only-binary", ":all:", locked]
    yield [UV, "pip", "install", *where, "--no-deps", "--no-index", "--find-links", str(wheel.parent), "rightfit"]


@pytest.mark.long
def test_the_api_is_installed_small_and_works_without_the_rest(tmp_path: Path, wheel: Path) -> None:
    folder = tmp_path / "rightfit"
    for command in installed(folder, "api", wheel):
        subprocess.run(command, check=True, cwd=tmp_path)
    env = {"PATH": str(folder / "bin"), "RIGHTFIT_HOME": str(tmp_path / "home"), "HOME": str(tmp_path)}
    modules = ["service.app", "service.predictor", "service.pictures", "service.cli.checks", "onnxruntime"]
    code = f"import {', '.join(modules)}, importlib.util as u; print(service.__file__, u.find_spec('torch'))"
    run = [f"{folder}/bin/python", "-I", "-c", code]
    said = subprocess.run(run, env=env, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert said.startswith(str(folder))
    assert said.strip().endswith("None")
    subprocess.run([f"{folder}/bin/rightfit", "--help"], env=env, check=True, capture_output=True)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    print(f"{size / MEBIBYTE:.0f} MiB")
    assert size < 450 * MEBIBYTE
