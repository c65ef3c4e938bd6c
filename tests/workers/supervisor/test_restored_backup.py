"""A backup is taken in the middle of a run; restored elsewhere, the run continues and ends with the same result."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import obstore
import pytest
from click.testing import CliRunner, Result
from obstore.store import S3Store

from service.cli import main
from service.core.records.job import Job
from service.core.settings import Settings
from service.core.sql.engine import Database
from service.core.sql.jobs.store import Store
from service.core.sql.stored_files import missing, named
from service.core.sql.worker_registry import WorkerRegistry
from tests.ports import eventually
from tests.servers import POSTGRESQL, S3_BUCKET, SQLITE, Postgresql
from tests.service.live import Live
from tests.workers.bench import Bench

SPEC: dict[str, Any] = {
    "model": {"arch": "cnn", "channels": [4], "hidden": [8], "norm": "batch"},
    "epochs": 30,
    "regularization": {"dropout": 0.2},
}
Restore = Callable[[], Settings]


@pytest.fixture
def settings(everywhere: Settings) -> Settings:
    return replace(everywhere, checkpoint_seconds=0.05, backoff_seconds=0.0, lease_seconds=4.0, heartbeat_seconds=0.5)


def rightfit(settings: Settings, *words: str) -> Result:
    result = CliRunner(env=settings.to_env()).invoke(main, list(words))
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture
def take(request: pytest.FixtureRequest, settings: Settings, tmp_path: Path) -> Iterator[Callable[[], Restore]]:
    """Takes a backup the way that the operators of such a deployment do; what that returns restores it elsewhere."""
    if request.node.callspec.params["everywhere"] == SQLITE:
        yield lambda: _of_one_machine(settings, tmp_path)
        return
    server: Postgresql = request.getfixturevalue("postgresql_server")
    with server.empty() as url:
        yield lambda: _with_its_own_tools(settings, server, url, tmp_path)


def _of_one_machine(settings: Settings, folder: Path) -> Restore:
    rightfit(settings, "backup", str(folder / "backup"))
    home = folder / "restored"

    def restore() -> Settings:
        elsewhere = replace(
            settings, home=home, database_url=f"sqlite:///{home}/rightfit.db", storage_url=str(home / "storage")
        )
        rightfit(elsewhere, "restore", str(folder / "backup"))
        return elsewhere

    return restore


def _with_its_own_tools(settings: Settings, server: Postgresql, url: str, folder: Path) -> Restore:
    """pg_dump first, then what `aws s3 sync` does; a bucket with versioning would keep what is deleted in between."""
    dump, prefix = folder / "rightfit.dump", f"restored-{uuid4().hex}"
    tool = shutil.which("pg_dump", path=str(server.binaries)) or "pg_dump"
    subprocess.run([tool, "--format=custom", f"--file={dump}", settings.database_url], check=True)
    old = S3Store(S3_BUCKET, prefix=settings.storage_url.rpartition("/")[2], client_options={"allow_http": True})
    new = S3Store(S3_BUCKET, prefix=prefix, client_options={"allow_http": True})
    for batch in obstore.list(old):
        for stored in batch:
            try:
                obstore.put(new, stored["path"], obstore.get(old, stored["path"]).bytes())
            except FileNotFoundError:
                continue

    def restore() -> Settings:
        tool = shutil.which("pg_restore", path=str(server.binaries)) or "pg_restore"
        subprocess.run([tool, "--no-owner", "--exit-on-error", f"--dbname={url}", str(dump)], check=True)
        return replace(settings, home=folder / "elsewhere", database_url=url, storage_url=f"s3://{S3_BUCKET}/{prefix}")

    return restore


@pytest.mark.parametrize("everywhere", [SQLITE, pytest.param(POSTGRESQL, marks=pytest.mark.long)], indirect=True)
def test_a_run_goes_on_from_its_backup_to_the_very_same_end(bench: Bench, take: Callable[[], Restore]) -> None:
    running, waiting = bench.submit(**SPEC), bench.submit(**SPEC | {"epochs": 2})
    thread = bench.start()
    assert eventually(lambda: bench.checkpointed(running) >= 2)
    restore = take()
    thread.join()
    assert bench.supervisor.run_next() == waiting.id
    restored = restore()
    database = Database(restored.database_url)
    database.migrate()
    other = Bench(restored, Store(database), bench.fork_server)
    assert [len(kept.last.sha256) for kept in other.store.leases.checkpoints(running.id)] in ([64], [64, 64])
    if other.job(running).status == "running":  # as the dump has it; its lease runs out
        assert eventually(lambda: bool(other.store.leases.reap(restored.retries)))
    while other.supervisor.run_next():
        pass
    assert other.job(running).attempt == 2
    for job in (running, waiting):
        assert other.job(job).status == "succeeded", other.job(job).error
        assert ended(other, job) == ended(bench, job)
    assert missing(database, other.storage) == ()
    assert rightfit(restored, "verify").stdout.startswith(f"{len(named(database))} files, none missing or damaged")
    with Live(restored) as live:
        WorkerRegistry(database).heartbeat("machine:1", 60)
        assert rightfit(replace(restored), "--url", live.url, "doctor").exit_code == 0
    database.close()


def ended(bench: Bench, job: Job) -> tuple[object, ...]:
    return bench.history(job), bench.best_model(job)
