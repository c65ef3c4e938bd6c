"""Checks of the repository's own files."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

from tests.locks import LOCKS, PINNED, packages, text_of
from tests.servers import ROOT

LONGEST_TEST_NAME = 60  # characters


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_pins_every_package_by_hash_without_addresses(lock: str) -> None:
    text = text_of(lock)
    assert packages(lock)
    assert "://" not in text
    blocks = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
    assert all(PINNED.match(block) and "--hash=sha256:" in block for block in blocks)


def test_locks_keep_torch_from_api_and_flask_from_worker() -> None:
    assert {"flask", "gunicorn", "celery"} <= packages("api")
    assert not {"torch", "torchvision", "scikit-learn"} & packages("api")
    assert {"torch", "torchvision", "celery"} <= packages("worker")
    assert not {"flask", "flask-smorest", "gunicorn", "marshmallow"} & packages("worker")


def test_dev_lock_covers_all_requirements() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    requirements = project["dependencies"] + [
        name for extra in project["optional-dependencies"].values() for name in extra
    ]
    names = {re.split(r"[\[>=<]", requirement)[0] for requirement in requirements}
    assert names <= packages("dev")


def functions_in(path: Path) -> list[str]:
    """The names of the test functions and test methods in a file, async ones included."""
    nodes = ast.walk(ast.parse(path.read_text("utf-8")))
    functions = [node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return [name for name in functions if name.startswith("test")]


def test_names_of_tests_have_at_most_60_characters() -> None:
    names = {path.relative_to(ROOT).as_posix(): functions_in(path) for path in (ROOT / "tests").rglob("test_*.py")}
    assert "test_names_of_tests_have_at_most_60_characters" in names["tests/test_repository.py"]
    assert [(path, name) for path in sorted(names) for name in names[path] if len(name) > LONGEST_TEST_NAME] == []
