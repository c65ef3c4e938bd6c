"""What must hold for the files themselves."""

import re
import tomllib

import pytest

from tests.servers import ROOT

LOCKS = ["setup", "api", "worker", "dev", "bench"]
PINNED = re.compile(r"^([a-z0-9._-]+)==[^ ]+( ; [^\\]+)? \\$", re.MULTILINE)


def packages(lock: str) -> set[str]:
    return {name for name, _ in PINNED.findall((ROOT / "deploy" / "locks" / f"{lock}.txt").read_text())}


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_pins_every_package_by_hash_and_names_no_address(lock: str) -> None:
    text = (ROOT / "deploy" / "locks" / f"{lock}.txt").read_text()
    assert packages(lock)
    assert "://" not in text
    blocks = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
    assert all(PINNED.match(block) and "--hash=sha256:" in block for block in blocks)


def test_the_api_can_be_installed_without_torch_and_the_worker_without_flask() -> None:
    assert {"flask", "gunicorn", "celery"} <= packages("api")
    assert not {"torch", "torchvision", "scikit-learn"} & packages("api")
    assert {"torch", "torchvision", "celery"} <= packages("worker")
    assert not {"flask", "flask-smorest", "gunicorn", "marshmallow"} & packages("worker")


def test_the_locks_cover_what_the_project_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = project["dependencies"] + [name for extra in project["optional-dependencies"].values() for name in extra]
    names = {re.split(r"[\[>=<]", requirement)[0] for requirement in wanted}
    assert names <= packages("dev")
