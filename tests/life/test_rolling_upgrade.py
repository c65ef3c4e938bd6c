"""An upgrade without a pause: migrate, then the workers, then the API; the last release and this one live side by side.

The last release is unpacked from the history of this repository.
"""

import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner
from sqlalchemy import select

from service.cli import main
from service.client import Rightfit
from service.core.settings import Settings
from service.core.sql.engine import Database
from service.core.sql.tables import jobs
from tests.conftest import START_SECONDS, STOP_SECONDS, Redis
from tests.pictures import folders, zipped
from tests.ports import eventually, free_port
from tests.servers import LIFELINE, ROOT, Postgresql
from tests.service.core.sql.released import REVISIONS

LAST_RELEASE, ITS_SCHEMA = "5122025d7f5d67fbc2407c94d541a4e947f45100", "0012"
SPEC: dict[str, Any] = {
    "dataset": {"id": "digits"},
    "model": {"arch": "cnn", "channels": [8], "hidden": [16], "norm": "batch"},
    "seed": 7,
    "epochs": 160,
    "batch_size": 16,
    "early_stopping": None,
    "regularization": {"dropout": 0.2},
}


@pytest.fixture(scope="module")
def last_release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    packed = subprocess.run(["git", "archive", LAST_RELEASE], cwd=ROOT, capture_output=True, check=False)
    if packed.returncode:
        pytest.skip(f"the commit of the last release, {LAST_RELEASE}, is not in this clone")
    folder = tmp_path_factory.mktemp("last") / "release"
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder


@pytest.fixture
def settings(tmp_path: Path, redis_server: Redis, postgresql_server: Postgresql) -> Iterator[Settings]:
    with postgresql_server.empty() as url:
        given = {
            "RIGHTFIT_HOME": str(tmp_path / "home"),
            "RIGHTFIT_REDIS_URL": redis_server.url.replace("/0", "/7"),
            "RIGHTFIT_DATABASE_URL": url,
            "RIGHTFIT_CHECKPOINT_SECONDS": "0.1",
            "RIGHTFIT_HINT_SECONDS": "2",
            "RIGHTFIT_DISPATCH_SECONDS": "0.5",
            "RIGHTFIT_THREADS": "1",
        }
        yield Settings.from_env(given)


@contextmanager
def running(tree: Path, settings: Settings, *command: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process of the release in that folder; it is ended with the block."""
    env = os.environ | settings.to_env()
    settings.home.mkdir(parents=True, exist_ok=True)
    inside = ("env", f"--chdir={tree}", f"PYTHONPATH={tree}")  # after LIFELINE, which is a module of this release
    with (settings.home / "log").open("ab") as log:
        process = subprocess.Popen(
            [*LIFELINE, *inside, sys.executable, "-m", *command], cwd=ROOT, env=env, stdout=log, stderr=log
        )
    try:
        yield process
    finally:
        process.terminate()
        assert process.wait(STOP_SECONDS) is not None


def worker(tree: Path, settings: Settings, name: str) -> Any:
    return running(tree, replace(settings, home=settings.home / name), "workers")


@contextmanager
def api(tree: Path, settings: Settings, name: str) -> Iterator[Rightfit]:
    own = replace(settings, home=settings.home / name, storage_url=settings.storage_url, port=free_port())
    url = f"http://127.0.0.1:{own.port}"

    def answers() -> bool:
        try:
            return httpx.get(f"{url}/livez", trust_env=False).is_success
        except httpx.TransportError:
            return False

    with running(tree, own, "gunicorn", "-c", "deploy/gunicorn.conf.py", "service.wsgi:app"), Rightfit(url) as client:
        assert eventually(answers, START_SECONDS)
        yield client


def is_ready(client: Rightfit) -> bool:
    return httpx.get(f"{client.url}/readyz", trust_env=False).is_success


def history(client: Rightfit, job_id: str) -> list[tuple[Any, ...]]:
    return [(row["epoch"], row["train_loss"], row["val_loss"]) for row in client.history(job_id)["data"]]


def close_to(rows: list[tuple[Any, ...]]) -> list[Any]:
    """The two releases add up the losses of the validation images in another order."""
    return [pytest.approx(row, rel=1e-6) for row in rows]


@pytest.mark.timeout(600)
@pytest.mark.long
def test_upgrade_hands_a_run_from_old_to_new_worker(last_release: Path, settings: Settings) -> None:
    database = Database(settings.database_url)
    database.migrate(ITS_SCHEMA)

    def worker_of(job_id: str) -> str:
        with database.read() as c:
            return str(c.execute(select(jobs.c.worker).where(jobs.c.id == job_id)).scalar())

    with ExitStack() as old_parts, ExitStack() as new_parts:
        old = old_parts.enter_context(api(last_release, settings, "old-api"))
        old_worker = old_parts.enter_context(worker(last_release, settings, "old-worker"))
        first = old.wait(old.submit(SPEC | {"epochs": 2})["id"])
        assert first["status"] == "succeeded", first
        undisturbed = old.wait(old.submit(SPEC)["id"])["id"]

        # The schema first, under the old release that runs.
        job = old.submit(SPEC)["id"]
        assert eventually(lambda: old.job(job)["progress"]["epoch"] >= 2)
        migrated = CliRunner(env=settings.to_env()).invoke(main, ["migrate"])
        assert migrated.exit_code == 0, migrated.output
        assert f"from {ITS_SCHEMA} to {REVISIONS[-1]}" in migrated.stdout

        assert is_ready(old), "a newer schema only adds to the one that the old release knows"

        # Then the workers. While the old one trains, the new one takes the jobs that wait.
        new_worker = new_parts.enter_context(worker(ROOT, settings, "new-worker"))
        small = [old.submit(SPEC | {"epochs": 1, "seed": seed})["id"] for seed in range(3)]
        assert eventually(lambda: any(f":{new_worker.pid}" in worker_of(each) for each in small), START_SECONDS)
        assert f":{old_worker.pid}" in worker_of(job)
        assert f":{old_worker.pid}" in worker_of(undisturbed)
        assert old.job(job)["status"] == "running", "the old worker was too quick for this test"
        epochs = old.job(job)["progress"]["epoch"]
        old_worker.terminate()
        assert old_worker.wait(STOP_SECONDS) == 0
        ended = old.wait(job)
        assert (ended["status"], ended["attempt"], ended["losses"], ended["releases"]) == ("succeeded", 2, [], 1)
        assert f":{new_worker.pid}" in worker_of(job)
        assert epochs >= 2
        (resumed,) = [event for event in old.stream(job) if event.type == "resumed"]
        assert resumed.data["after_epoch"] >= 2, "the new worker resumes from the checkpoint of the old one"
        assert history(old, job) == close_to(history(old, undisturbed))

        # Then the API.
        new = new_parts.enter_context(api(ROOT, settings, "new-api"))
        late = new.submit(SPEC | {"epochs": 1})["id"]
        assert old.wait(late)["status"] == "succeeded", "the old API shows jobs that the new one accepted"
        old_parts.close()
        for each in (first["id"], undisturbed, job, late, *small):
            assert new.wait(each)["status"] == "succeeded"
            assert new.diagnose(each)["verdict"]
            assert {file["name"] for file in new.artifacts(each)} >= {"best_model.pth", "report.json"}
        assert history(new, job) == close_to(history(new, undisturbed))
    database.close()


@pytest.mark.long
def test_an_old_worker_runs_ordinary_jobs_of_a_newer_api(
    last_release: Path, settings: Settings, tmp_path: Path
) -> None:
    pictures = tmp_path / "pictures.zip"
    pictures.write_bytes(zipped(folders(each=4)))
    with closing(Database(settings.database_url)) as database:
        database.migrate()
    with ExitStack() as parts:
        client = parts.enter_context(api(ROOT, settings, "new-api"))
        parts.enter_context(worker(last_release, settings, "old-worker"))
        ordinary = SPEC | {"epochs": 1, "early_stopping": {"patience": 3}, "regularization": {"dropout": 0.2}}
        assert client.wait(client.submit(ordinary)["id"])["status"] == "succeeded"

        newer = client.submit(SPEC | {"epochs": 1, "regularization": {"sam_rho": 0.05}})["id"]
        dataset = client.upload(pictures)["id"]
        later = client.submit(ordinary)["id"]
        assert client.wait(later)["status"] == "succeeded", "the old worker passes over what it does not understand"
        assert client.job(newer)["status"] == "queued"
        assert client.dataset(dataset)["status"] == "processing", "nor sets that it would read by other rules"

        parts.enter_context(worker(ROOT, settings, "new-worker"))
        assert client.wait(newer)["status"] == "succeeded"
        assert client.dataset_ready(dataset)["status"] == "ready"
