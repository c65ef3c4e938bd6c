"""What the images would hold, by the Dockerfile, the locks and what the builder is given."""

import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import grimp
import pytest

from tests.deploy import dockerfile
from tests.deploy.facts import BINARIES, VERSION
from tests.locks import packages
from tests.servers import ROOT

TARGETS = ("api", "worker")
TRAINING = re.compile(r"(torch|torchvision|triton|scikit-learn|scipy|sympy|nvidia-.*|cuda-.*)")
SERVING = re.compile(r"(flask.*|gunicorn|marshmallow|werkzeug)")


def lock_of(target: str) -> set[str]:
    """The locks that are installed into what the image copies."""
    stages = dockerfile.read()
    copied = [re.match(r"--from=(\S+)", i.words) for i in dockerfile.inherited(stages, target) if i.name == "COPY"]
    runs = [i.words for found in copied if found for i in dockerfile.inherited(stages, found[1]) if i.name == "RUN"]
    return {lock for words in runs for lock in re.findall(r"uv pip sync .*locks/(\w+)\.txt", words)}


def test_the_image_of_the_api_has_its_lock_and_nothing_of_torch() -> None:
    assert lock_of("api") == {"api"}
    assert not [name for name in packages("api") if TRAINING.fullmatch(name)]
    assert {"flask", "gunicorn", "psycopg-binary", "onnxruntime"} <= packages("api")


def test_the_image_of_the_worker_has_its_lock_and_nothing_that_serves() -> None:
    assert lock_of("worker") == {"worker"}
    assert not [name for name in packages("worker") if SERVING.fullmatch(name)]
    assert {"torch", "torchvision", "nvidia-cudnn-cu13", "psycopg-binary"} <= packages("worker")


def test_the_images_take_nothing_else_from_here_or_from_the_stages_that_build() -> None:
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
def test_all_that_the_code_of_an_image_imports_is_in_its_lock(target: str) -> None:
    """Also what is imported late; what is left out of the one image is what the other alone runs."""
    graph = grimp.build_graph("service", "workers", include_external_packages=True, exclude_type_checking_imports=True)
    ours = graph.find_descendants({"api": "service", "worker": "workers"}[target])
    reached = ours.union(*(graph.find_upstream_modules(module) for module in ours))
    imported = {name for name in reached if graph.is_module_squashed(name)} - sys.stdlib_module_names
    distributions = packages_distributions()
    missing = {n for n in imported if not {d.lower().replace("_", "-") for d in distributions[n]} & packages(target)}
    assert {"api": "flask", "worker": "torch"}[target] in imported
    assert not missing


def test_the_builder_gets_what_it_copies_and_no_secret_no_history_no_tests(context: Path) -> None:
    for stage in dockerfile.read().values():
        for copy in (i for i in stage.instructions if i.name == "COPY" and not i.words.startswith("--from=")):
            assert all((context / source).exists() for source in copy.words.split()[:-1]), copy
    assert {path.name for path in context.iterdir()} == {
        "LICENSE", "README.md", "pyproject.toml", "deploy", "service", "workers",
    }  # fmt: skip
    assert {path.name for path in (context / "deploy").iterdir()} == {"gunicorn.conf.py", "locks"}
    assert not [path for path in context.rglob("*") if path.suffix == ".pyc" or path.name.startswith(".env")]


def test_the_wheel_of_the_images_holds_every_file_of_the_service_and_the_workers(context: Path, wheel: Path) -> None:
    folders = [context / "service", context / "workers"]
    ours = {str(p.relative_to(context)) for folder in folders for p in folder.rglob("*") if p.is_file()}
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert held == ours
    assert "service/docs/running.md" in held


@pytest.mark.parametrize("target", TARGETS)
def test_an_image_runs_as_a_user_by_number_in_exec_form_and_says_what_it_is(target: str) -> None:
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
def test_an_image_writes_to_its_home_and_to_tmp_alone(target: str) -> None:
    made = dockerfile.environment(target)
    assert dockerfile.last(target, "VOLUME").words == made["RIGHTFIT_HOME"] == made["HOME"]
    assert made["MPLCONFIGDIR"].startswith("/tmp/")  # noqa: S108
    assert made["TORCHINDUCTOR_CACHE_DIR"].startswith(made["HOME"])
    assert made["PYTHONDONTWRITEBYTECODE"] == "1"
    assert dockerfile.environment("builder")["UV_COMPILE_BYTECODE"] == "1"


def test_the_python_of_the_images_is_one_that_the_project_supports() -> None:
    found = re.search(r"^ARG PYTHON=(\d+)\.(\d+)-slim", dockerfile.FILE.read_text(), re.MULTILINE)
    assert found
    supported = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    major, minor = map(int, supported.removeprefix(">=").split("."))
    assert (int(found[1]), int(found[2])) >= (major, minor)


def test_the_linter_of_the_images_goes_red(tmp_path: Path) -> None:
    def lints(text: str) -> bool:
        (tmp_path / "Dockerfile").write_text(text)
        return subprocess.run([str(BINARIES / "hadolint"), "Dockerfile"], cwd=tmp_path, check=False).returncode == 0

    text = dockerfile.FILE.read_text()
    assert lints(text)
    assert not lints(text.replace("FROM python:${PYTHON} AS runtime", "FROM python AS runtime"))
    assert not lints(text + 'CMD python -m "workers"\n')


def test_no_stage_needs_a_compiler_and_hashes_are_asked_for_wherever_something_is_fetched() -> None:
    runs = [i.words for stage in dockerfile.read().values() for i in stage.instructions if i.name == "RUN"]
    assert not [words for words in runs if re.search(r"\b(apt|apt-get|curl|wget|gcc|make)\b", words)]
    fetching = [words for words in runs if re.search(r"\b(pip install|pip sync|uv build)\b", words)]
    assert fetching
    assert all("--require-hashes" in words or "--no-index" in words for words in fetching)
