"""Runs the commands of the images on this machine, in the environment of the images."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy import dockerfile
from tests.deploy.facts import BINARIES
from tests.ports import eventually, free_port
from tests.servers import LIFELINE, ROOT

MEBIBYTE = 1 << 20


@pytest.fixture
def inside(tmp_path: Path) -> dict[str, str]:
    """The environment of an API container, except its port and its folders."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("RIGHTFIT_")}
    ours = {n: v for n, v in dockerfile.environment("api").items() if n.startswith(("RIGHTFIT_", "PYTHON"))}
    own = {"RIGHTFIT_HOME": str(tmp_path), "RIGHTFIT_REDIS_URL": "redis://127.0.0.1:1/0", "PYTHONPATH": str(ROOT)}
    return clean | ours | own | {"RIGHTFIT_PORT": str(free_port()), "PATH": f"{BINARIES}:{clean['PATH']}"}


def serving() -> list[str]:
    """The command of the API image, with the paths of this repository."""
    return [word.replace("/etc/rightfit", str(ROOT / "deploy")) for word in dockerfile.command("api")]


def healthy(target: str, env: dict[str, str]) -> bool:
    command = dockerfile.last(target, "HEALTHCHECK").command
    return subprocess.run(command, env=env, capture_output=True, check=False).returncode == 0


def test_the_api_command_serves_and_the_health_check_reports_it(inside: dict[str, str], tmp_path: Path) -> None:
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


def test_the_api_image_refuses_to_listen_without_keys(inside: dict[str, str]) -> None:
    assert (inside["RIGHTFIT_HOST"], inside["RIGHTFIT_AUTH"]) == ("0.0.0.0", "keys")  # noqa: S104
    open_door = inside | {"RIGHTFIT_AUTH": "none"}
    refused = subprocess.run(serving(), env=open_door, capture_output=True, text=True, timeout=60, check=False)
    assert refused.returncode != 0
    assert "RIGHTFIT_ALLOW_NO_AUTH" in refused.stdout + refused.stderr


def test_the_gunicorn_settings_import_only_installed_packages() -> None:
    tree = ast.parse((ROOT / "deploy" / "gunicorn.conf.py").read_text())
    imported = {(node.module or "").partition(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert imported - sys.stdlib_module_names <= {"service", "prometheus_client"}


class Builder:
    """Runs the stages of the Dockerfile in a folder: COPY and RUN, with its own Python."""

    def __init__(self, folder: Path, context: Path) -> None:
        self._folder, self._context, self._stages = folder, context, dockerfile.read()
        self.installed = folder / "opt"
        subprocess.run([sys.executable, "-m", "venv", folder / "python"], check=True)

    def build(self, name: str) -> Path:
        """The working folder of a stage, including the content of its base."""
        stage, work = self._stages[name], self._folder / name
        if work.exists():
            return work
        if stage.base in self._stages:
            shutil.copytree(self.build(stage.base), work)
        work.mkdir(exist_ok=True)
        for instruction in stage.instructions:
            if instruction.name == "COPY":
                self._copy(instruction.words.split(), work)
            elif instruction.name == "RUN":
                words = instruction.words.replace("/opt/rightfit", str(self.installed))
                subprocess.run(words, shell=True, cwd=work, env=self._environment(name), check=True)  # noqa: S602
        return work

    def _copy(self, words: list[str], work: Path) -> None:
        source = self._context
        if words[0].startswith("--from="):
            source = self.build(words.pop(0).removeprefix("--from="))
        *names, target = words
        for path in (source / name.removeprefix("/build/") for name in names):
            where = work / target / ("" if path.is_dir() else path.name)
            where.parent.mkdir(parents=True, exist_ok=True)
            shutil.copytree(path, where) if path.is_dir() else shutil.copy(path, where)

    def _environment(self, name: str) -> dict[str, str]:
        variables = {
            n: v.replace("/opt/rightfit", str(self.installed)) for n, v in dockerfile.environment(name).items()
        }
        variables.pop("UV_NO_CACHE")  # use the cache of this machine
        return os.environ | variables | {"PATH": f"{self._folder}/python/bin:{os.environ['PATH']}"}


@pytest.mark.long
def test_the_stages_build_a_small_working_api(tmp_path: Path, context: Path) -> None:
    builder = Builder(tmp_path, context)
    builder.build("api-packages")
    binaries = builder.installed / "bin"
    env = {"PATH": str(binaries), "RIGHTFIT_HOME": str(tmp_path / "home"), "HOME": str(tmp_path)}
    modules = ["service.app", "service.inference", "service.rendering.curves_png", "service.cli.checks", "onnxruntime"]
    code = f"import {', '.join(modules)}, importlib.util as u; print(service.__file__, u.find_spec('torch'))"
    run = [f"{binaries}/python", "-I", "-c", code]
    said = subprocess.run(run, env=env, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert said.startswith(str(builder.installed))
    assert said.strip().endswith("None")
    subprocess.run([f"{binaries}/rightfit", "--help"], env=env, check=True, capture_output=True)
    assert list(builder.installed.rglob("service/__pycache__/app.*.pyc")), (
        "bytecode is compiled in the image, because containers do not write it"
    )
    files = [path for path in builder.installed.rglob("*") if path.is_file() and not path.is_symlink()]
    size = sum(path.stat().st_size for path in files)
    print(f"{size / MEBIBYTE:.0f} MiB")
    assert size < 450 * MEBIBYTE
