"""The content of the images, according to the Dockerfile, the locks and the build context."""

import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import grimp
import pytest
from packaging.utils import canonicalize_name

from tests.deploy import dockerfile
from tests.deploy.facts import BINARIES, VERSION
from tests.locks import packages
from tests.servers import ROOT

TARGETS = ("api", "worker")
TRAINING = re.compile(r"(torch|torchvision|triton|scikit-learn|scipy|sympy|nvidia-.*|cuda-.*)")
SERVING = re.compile(r"(flask.*|gunicorn|marshmallow|werkzeug)")


def lock_of(target: str) -> set[str]:
    """The names of the locks that are installed into the image of a target."""
    stages = dockerfile.read()
    copied = [re.match(r"--from=(\S+)", i.words) for i in dockerfile.inherited(stages, target) if i.name == "COPY"]
    runs = [i.words for match in copied if match for i in dockerfile.inherited(stages, match[1]) if i.name == "RUN"]
    return {lock for words in runs for lock in re.findall(r"uv pip sync .*locks/(\w+)\.txt", words)}


def test_the_api_image_uses_its_lock_and_has_no_torch() -> None:
    assert lock_of("api") == {"api"}
    assert not [name for name in packages("api") if TRAINING.fullmatch(name)]
    assert {"flask", "gunicorn", "psycopg-binary", "onnxruntime"} <= packages("api")


def test_the_worker_image_uses_its_lock_and_has_no_web_server() -> None:
    assert lock_of("worker") == {"worker"}
    assert not [name for name in packages("worker") if SERVING.fullmatch(name)]
    assert {"torch", "torchvision", "nvidia-cudnn-cu13", "psycopg-binary"} <= packages("worker")


def test_the_images_copy_only_packages_and_gunicorn_settings() -> None:
    stages = dockerfile.read()
    taken = {t: [i.words for i in dockerfile.inherited(stages, t) if i.name in ("COPY", "ADD")] for t in TARGETS}
    assert taken == {
        "api": [
            "deploy/gunicorn.conf.py /etc/rightfit/gunicorn.conf.py",
            "--from=api-packages /opt/rightfit /opt/rightfit",
        ],
        "worker": ["--from=worker-packages /opt/rightfit /opt/rightfit"],
    }


@pytest.mark.parametrize("target", TARGETS)
def test_all_imports_of_an_image_are_in_its_lock(target: str) -> None:
    """Inner imports count too. Modules that only the other image runs are left out."""
    graph = grimp.build_graph("service", "workers", include_external_packages=True, exclude_type_checking_imports=True)
    ours = graph.find_descendants({"api": "service", "worker": "workers"}[target])
    reached = ours.union(*(graph.find_upstream_modules(module) for module in ours))
    imported = {name for name in reached if graph.is_module_squashed(name)} - sys.stdlib_module_names
    distributions = packages_distributions()
    missing = {n for n in imported if not {canonicalize_name(d) for d in distributions[n]} & packages(target)}
    assert {"api": "flask", "worker": "torch"}[target] in imported
    assert not missing


def test_the_build_context_has_only_the_files_of_the_images(context: Path) -> None:
    for stage in dockerfile.read().values():
        for copy in (i for i in stage.instructions if i.name == "COPY" and not i.words.startswith("--from=")):
            assert all((context / source).exists() for source in copy.words.split()[:-1]), copy
    names = {"LICENSE", "README.md", "pyproject.toml", "deploy", "service", "workers"}
    assert {path.name for path in context.iterdir()} == names
    assert {path.name for path in (context / "deploy").iterdir()} == {"gunicorn.conf.py", "locks"}
    assert not [path for path in context.rglob("*") if path.suffix == ".pyc" or path.name.startswith(".env")]


def test_the_wheel_has_every_file_of_service_and_workers(context: Path, wheel: Path) -> None:
    folders = [context / "service", context / "workers"]
    ours = {str(p.relative_to(context)) for folder in folders for p in folder.rglob("*") if p.is_file()}
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert held == ours
    assert "service/docs/running.md" in held


@pytest.mark.parametrize("target", TARGETS)
def test_an_image_has_a_numeric_user_exec_commands_and_labels(target: str) -> None:
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", dockerfile.last(target, "USER").words)
    assert dockerfile.command(target)
    assert dockerfile.last(target, "HEALTHCHECK").command[0] == "python"
    assert dockerfile.last(target, "STOPSIGNAL").words == "SIGTERM"
    labels: dict[str, str] = {}
    for label in (i for i in dockerfile.inherited(dockerfile.read(), target) if i.name == "LABEL"):
        labels |= label.pairs
    kinds = ("title", "description", "licenses", "vendor", "version")
    assert {f"org.opencontainers.image.{kind}" for kind in kinds} == labels.keys()
    assert labels["org.opencontainers.image.version"] == VERSION


@pytest.mark.parametrize("target", TARGETS)
def test_an_image_writes_only_to_its_home_and_tmp(target: str) -> None:
    variables = dockerfile.environment(target)
    assert dockerfile.last(target, "VOLUME").words == variables["RIGHTFIT_HOME"] == variables["HOME"]
    assert variables["MPLCONFIGDIR"].startswith("/tmp/")  # noqa: S108
    assert variables["TORCHINDUCTOR_CACHE_DIR"].startswith(variables["HOME"])
    assert variables["PYTHONDONTWRITEBYTECODE"] == "1"
    assert dockerfile.environment("builder")["UV_COMPILE_BYTECODE"] == "1"


def test_the_project_supports_the_python_of_the_images() -> None:
    match = re.search(r"^ARG PYTHON=(\d+)\.(\d+)-slim", dockerfile.FILE.read_text(), re.MULTILINE)
    assert match
    supported = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    major, minor = map(int, supported.removeprefix(">=").split("."))
    assert (int(match[1]), int(match[2])) >= (major, minor)


def test_a_bad_dockerfile_fails_the_linter(tmp_path: Path) -> None:
    def lints(text: str) -> bool:
        (tmp_path / "Dockerfile").write_text(text)
        return subprocess.run([str(BINARIES / "hadolint"), "Dockerfile"], cwd=tmp_path, check=False).returncode == 0

    text = dockerfile.FILE.read_text()
    assert lints(text)
    assert not lints(text.replace("FROM python:${PYTHON} AS runtime", "FROM python AS runtime"))
    assert not lints(text + 'CMD python -m "workers"\n')


def test_stages_need_no_compiler_and_fetch_only_with_hashes() -> None:
    runs = [i.words for stage in dockerfile.read().values() for i in stage.instructions if i.name == "RUN"]
    assert not [words for words in runs if re.search(r"\b(apt|apt-get|curl|wget|gcc|make)\b", words)]
    fetching = [words for words in runs if re.search(r"\b(pip install|pip sync|uv build)\b", words)]
    assert fetching
    assert all("--require-hashes" in words or "--no-index" in words for words in fetching)
