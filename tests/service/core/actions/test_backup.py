"""A backup taken while the service writes: whatever happens meanwhile, it names no file that it lacks."""

import fcntl
import json
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from service.cli import main
from service.core.actions import backup
from service.core.actions.backup import BackupError, back_up, restore
from service.core.actions.delete import delete_dataset, delete_job
from service.core.actions.storage_owner import owner_of
from service.core.errors import SettingsError
from service.core.records.job import Checkpoint, Status
from service.core.records.submission import NewJob
from service.core.settings import Settings
from service.core.sql.engine import Database
from service.core.sql.installation_id import installation_id
from service.core.sql.jobs.hints import JobHints
from service.core.sql.stored_files import missing, named, owners
from service.core.sql.worker_registry import WorkerRegistry
from service.core.storage import Artifact, LocalStorage, open_storage
from tests.servers import Postgresql
from tests.service.core.actions.house import FAILED, House


def say(words: str) -> None:
    pass


def restored(house: House, folder: Path, lacking: tuple[str, ...] = ()) -> House:
    """Restore the backup into an empty home; every file that its records name is there, except those in `lacking`."""
    home = house.folder / "restored"
    env = {"RIGHTFIT_HOME": str(home), "RIGHTFIT_REDIS_URL": str(house.settings.redis_url)}
    settings = Settings.from_env(env)
    database, storage = Database(settings.database_url), open_storage(settings.storage_url)
    assert restore(database, storage, folder, say).lacking == lacking
    other = House(settings, database, storage, house.folder)
    assert [key for key in lacking if key not in " ".join(missing(database, storage))] == []
    assert len(missing(database, storage)) == len(lacking)
    assert database.is_migrated()
    return other


class Interrupted(LocalStorage):
    """The live storage; it calls `happens` after the database was copied and before the files are."""

    def __init__(self, house: House, happens: Callable[[], None]) -> None:
        assert isinstance(house.storage, LocalStorage)
        super().__init__(house.storage.root)
        self._happens: list[Callable[[], None]] = [happens]

    def get(self, artifact: Artifact, target: Path) -> None:
        if self._happens:
            self._happens.pop()()
        super().get(artifact, target)


def taken(house: House, happens: Callable[[], None] = lambda: None) -> Path:
    folder = house.folder / "backup"
    back_up(house.database, Interrupted(house, happens), house.settings.home, folder, say)
    return folder


def test_restore_brings_back_every_job_and_data_set(house: House) -> None:
    dataset, weights = house.dataset(), house.weights()
    succeeded, failed = house.job(dataset={"id": dataset}), house.job(FAILED)
    running = house.job(outcome=None)
    waiting = house.store.actions.submit("t", NewJob(house.store.queries.get("t", running).spec))[0].id
    WorkerRegistry(house.database).heartbeat("old:1", 60)
    ours = installation_id(house.database)
    folder = taken(house)
    other = restored(house, folder)
    assert WorkerRegistry(other.database).live_workers(1e9) == {}
    assert (installation_id(other.database), owner_of(other.storage)) == (ours, ours)
    for job_id in (succeeded, failed):
        assert other.store.queries.get("t", job_id) == house.store.queries.get("t", job_id)
        assert other.store.queries.history("t", job_id)[1] == house.store.queries.history("t", job_id)[1]
        assert other.store.queries.artifacts("t", job_id) == house.store.queries.artifacts("t", job_id)
    assert other.catalog.packed(dataset) == house.catalog.packed(dataset)
    other.storage.open(other.uploads.get("t", weights).stored.key).close()
    assert other.store.queries.get("t", running).status is Status.QUEUED
    leases = [other.store.leases.claim("worker", 60) for _ in range(2)]
    assert {lease.job_id for lease in leases if lease} == {running, waiting}
    (resumed,) = [lease for lease in leases if lease and lease.job_id == running]
    assert [kept.epochs for kept in resumed.checkpoints] == [1]
    assert (folder.stat().st_mode & 0o77, (folder / backup.DATABASE).stat().st_mode & 0o77) == (0, 0)
    other.database.close()


def test_backup_leaves_out_jobs_and_sets_deleted_meanwhile(house: House) -> None:
    job, stays, dataset = house.job(), house.job(), house.dataset()

    def delete() -> None:
        delete_job(house.store, house.storage, "t", job)
        delete_dataset(house.catalog, house.storage, "t", dataset)

    other = restored(house, taken(house, delete))
    assert [other.is_there(each) for each in (job, stays)] == [False, True]
    assert not other.is_set(dataset)
    other.database.close()


def test_backup_ends_though_jobs_are_deleted_faster_than_copied(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    job, stays = house.job(), house.job()
    monkeypatch.setattr(backup, "ROUNDS", 1)
    other = restored(house, taken(house, lambda: delete_job(house.store, house.storage, "t", job)))
    assert [other.is_there(each) for each in (job, stays)] == [False, True]
    other.database.close()


def test_backup_has_the_newest_form_of_a_replaced_checkpoint(house: House) -> None:
    job = house.job(outcome=None)

    def replace_it() -> None:
        lease = replace(house.lease, checkpoints=())
        for number in (2, 3):
            last = house.put(f"jobs/{job}/a1/checkpoints/{number}/last.pt")
            house.store.leases.record_checkpoint(lease, Checkpoint(last, None, number, None))
        house.storage.delete(f"jobs/{job}/a1/checkpoints/1")

    other = restored(house, taken(house, replace_it))
    assert [kept.epochs for kept in other.store.leases.checkpoints(job)] == [3, 2]
    other.database.close()


def test_backup_has_a_job_without_its_deleted_checkpoints(house: House) -> None:
    job = house.job(outcome=None)
    house.storage.delete(f"jobs/{job}/a1/checkpoints")
    other = restored(house, taken(house))
    assert other.store.leases.checkpoints(job) == ()
    assert other.store.queries.get("t", job).status is Status.QUEUED
    other.database.close()


def test_backup_reports_a_missing_file_and_copies_the_rest(house: House) -> None:
    job = house.job()
    folder = taken(house)
    (published,) = house.store.queries.artifacts("t", job)
    house.storage.delete(published.key)
    assert missing(house.database, house.storage) == (f"{job}: {published.key} is not in the storage",)
    verify = CliRunner(env=house.settings.to_env()).invoke(main, ["verify", "--json"])
    assert (verify.exit_code, json.loads(verify.stdout)["faults"]) == (
        1,
        [f"{job}: {published.key} is not in the storage"],
    )
    new, whole = house.job(), house.job()
    lost = house.store.queries.artifacts("t", new)[0].key
    house.storage.delete(lost)
    command = CliRunner(env=house.settings.to_env())
    made = command.invoke(main, ["backup", str(folder)])
    warning = f"missing in the storage: {lost}"
    assert (made.exit_code, warning in made.stdout, published.key in made.stdout) == (1, True, False)
    (folder / backup.SUMS).write_text("")
    both = sorted([lost, published.key])
    assert json.loads(command.invoke(main, ["backup", str(folder), "--json"]).stdout)["lacking"] == both
    assert (folder / backup.FILES / published.key).exists(), "it may be the last copy"
    elsewhere = house.settings.to_env() | {
        "RIGHTFIT_DATABASE_URL": f"sqlite:///{house.folder}/new/rightfit.db",
        "RIGHTFIT_STORAGE_URL": str(house.folder / "new"),
    }
    restoring = CliRunner(env=elsewhere).invoke(main, ["restore", str(folder)])
    assert (restoring.exit_code, warning in restoring.stdout) == (0, True)
    other = restored(house, folder, tuple(both))
    assert all(other.is_there(each) for each in (job, new, whole))
    other.database.close()


def test_a_second_backup_copies_only_new_files(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    old, gone = house.job(), house.job()
    folder = taken(house)
    delete_job(house.store, house.storage, "t", gone)
    new = house.job()
    copied: list[str] = []
    real = LocalStorage.get

    def get(self: LocalStorage, artifact: Artifact, target: Path) -> None:
        copied.append(artifact.key)
        real(self, artifact, target)

    monkeypatch.setattr(LocalStorage, "get", get)
    taken(house)
    assert copied == [house.store.queries.artifacts("t", new)[0].key]
    assert {stored.key.split("/")[1] for stored in LocalStorage(folder / backup.FILES).objects("jobs")} == {old, new}
    other = restored(house, folder)
    assert [other.is_there(job) for job in (old, gone, new)] == [True, False, True]
    other.database.close()


def test_a_backup_is_taken_while_others_write(house: House) -> None:
    over, written = threading.Event(), []

    def write() -> None:
        while not over.is_set():
            written.append(house.job())
            if len(written) % 3 == 0:
                delete_job(house.store, house.storage, "t", written[-3])

    thread = threading.Thread(target=write)
    thread.start()
    try:
        while len(written) < 12:
            folder = taken(house)
    finally:
        over.set()
        thread.join()
    other = restored(house, folder)
    assert len(named(other.database)) > 3
    other.database.close()


def test_an_interrupted_restore_can_be_repeated(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    job, folder = house.job(), taken(house)
    with monkeypatch.context() as patch:
        patch.setattr(JobHints, "forget_hints", lambda self: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            restored(house, folder)
    other = restored(house, folder)
    assert other.is_there(job)
    with pytest.raises(BackupError, match="already"):
        restore(other.database, other.storage, folder, say)
    other.database.close()


def test_a_folder_that_is_no_backup_is_refused_and_kept(house: House, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(BackupError, match="neither empty nor a backup"):
        back_up(house.database, house.storage, house.settings.home, tmp_path / "mine", say)
    empty = Database(f"sqlite:///{tmp_path}/none/rightfit.db")
    with pytest.raises(BackupError, match="no finished backup"):
        restore(empty, house.storage, tmp_path / "mine", say)
    house.job()
    folder = taken(house)
    (file,) = (folder / backup.FILES).rglob("a1/best_model.pth")
    file.write_text("other weights")
    with pytest.raises(BackupError, match="damaged"):
        restore(empty, open_storage(str(tmp_path / "other")), folder, say)
    assert not empty.is_made


def test_a_home_is_no_backup(house: House) -> None:
    house.job(outcome=None)
    home, before = house.settings.home, {stored.key for stored in house.storage.objects("jobs")}
    inode = (home / "rightfit.db").stat().st_ino
    with pytest.raises(BackupError, match="neither empty nor a backup"):
        back_up(house.database, house.storage, home, home, say)
    assert (home / "rightfit.db").stat().st_ino == inode
    assert {stored.key for stored in house.storage.objects("jobs")} == before


def test_truncated_files_of_a_former_backup_are_copied_again(house: House) -> None:
    job = house.job()
    folder = taken(house)
    (file,) = (folder / backup.FILES).rglob("a1/best_model.pth")
    for damaged in (file, folder / backup.SUMS):
        damaged.write_bytes(b"")
        taken(house)
        assert file.read_bytes()
        assert json.loads((folder / backup.SUMS).read_text())
    other = restored(house, folder)
    assert other.is_there(job)
    other.database.close()


def test_two_backups_are_not_written_into_one_folder_at_once(house: House) -> None:
    house.job()
    folder = taken(house)
    with (folder / backup.LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(BackupError, match="another backup"):
            taken(house)


def test_restore_refuses_a_place_with_a_leftover_database_log(house: House, tmp_path: Path) -> None:
    """SQLite would replay it over the restored database."""
    house.job()
    folder, target = taken(house), Database(f"sqlite:///{tmp_path}/place/rightfit.db")
    (tmp_path / "place").mkdir()
    (tmp_path / "place" / "rightfit.db-wal").write_bytes(b"of another one")
    with pytest.raises(BackupError, match="-wal belongs to a database that is gone"):
        restore(target, open_storage(str(tmp_path / "other")), folder, say)
    assert not target.is_made


def test_restore_keeps_the_database_of_a_stack_started_meanwhile(house: House, tmp_path: Path) -> None:
    house.job()
    folder, place = taken(house), Database(f"sqlite:///{tmp_path}/place/rightfit.db")

    class Slow(LocalStorage):
        def put(self, key: str, source: Path) -> Artifact:
            place.migrate()
            return super().put(key, source)

    with pytest.raises(BackupError, match="exists already"):
        restore(place, Slow(tmp_path / "other"), folder, say)
    assert owners(place) == frozenset()
    place.close()


def test_the_database_may_be_named_as_seen_from_here(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.job()
    monkeypatch.chdir(house.settings.home)
    nearby = Database("sqlite:///rightfit.db")
    assert back_up(nearby, house.storage, house.settings.home, house.folder / "backup", say).files == 1
    nearby.close()


@pytest.mark.parametrize("kind", ["jobs", "datasets", "weights"])
def test_restore_refuses_a_storage_with_files_of_other_databases(house: House, tmp_path: Path, kind: str) -> None:
    house.job()
    folder = taken(house)
    make: dict[str, Callable[[], str]] = {"jobs": house.job, "datasets": house.dataset, "weights": house.weights}
    make[kind]()

    def stored() -> dict[str, float]:
        return {each.key: each.at for folder in make for each in house.storage.objects(folder)}

    before = stored()
    target = Database(f"sqlite:///{tmp_path}/place/rightfit.db")
    with pytest.raises(BackupError, match=f"in use: it holds {kind}/"):
        restore(target, house.storage, folder, say)
    assert not target.is_made
    assert stored() == before


def test_postgresql_has_tools_of_its_own(house: House, postgresql_server: Postgresql, tmp_path: Path) -> None:
    with postgresql_server.database() as url:
        database = Database(url)
        with pytest.raises(SettingsError, match="pg_dump"):
            back_up(database, house.storage, tmp_path, tmp_path / "backup", say)
        database.close()


def test_the_newest_backup_is_remembered_in_the_home(house: House) -> None:
    folder = taken(house)
    assert json.loads((house.settings.home / backup.LAST).read_text())["folder"] == str(folder)
