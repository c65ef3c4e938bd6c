import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import func, inspect, select
from sqlalchemy.dialects import postgresql

from service.core.errors import SettingsError
from service.core.settings import Settings
from service.core.sql import engine, migrate
from service.core.sql.clock import now
from service.core.sql.engine import Database, redacted
from service.core.sql.tables import metadata
from tests.servers import Postgresql


@pytest.fixture
def settings(everywhere: Settings) -> Settings:
    return everywhere


def test_the_migrations_make_the_declared_tables(database: Database) -> None:
    inspector = inspect(database.engine)
    for table in metadata.sorted_tables:
        assert {c["name"] for c in inspector.get_columns(table.name)} == set(table.columns.keys()), table.name
        ours = {i["name"] for i in inspector.get_indexes(table.name) if not i.get("duplicates_constraint")}
        assert ours == {i.name for i in table.indexes}, table.name


def test_migrating_again_changes_nothing(database: Database) -> None:
    assert database.is_migrated()
    database.migrate()
    assert database.is_migrated()


def test_processes_that_start_at_once_migrate_once(postgresql_server: Postgresql) -> None:
    with postgresql_server.empty() as url, ThreadPoolExecutor(4) as pool:
        databases = [Database(url) for _ in range(4)]
        list(pool.map(Database.migrate, databases))
        assert all(database.is_migrated() for database in databases)
        for database in databases:
            database.close()


def test_a_migration_waits_for_another_s_however_long_that_takes(
    postgresql_server: Postgresql, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(engine.POSTGRESQL_OPTIONS, "options", "-c lock_timeout=200")
    with postgresql_server.empty() as url, ThreadPoolExecutor(1) as pool:
        first, second = Database(url), Database(url)
        with first.write() as c:
            c.execute(select(func.pg_advisory_xact_lock(migrate.MIGRATION_LOCK)))
            waits = pool.submit(second.migrate)
            time.sleep(0.6)
        assert waits.result(60)[0] is None
        for database in (first, second):
            database.close()


def test_the_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/theirs.db")
    with database.write() as c:
        c.exec_driver_sql("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
        c.exec_driver_sql("INSERT INTO alembic_version VALUES ('theirs')")
    assert not database.is_migrated()
    with pytest.raises(SettingsError, match="another program: theirs"):
        database.migrate()
    database.close()


@pytest.mark.parametrize(
    "url", ["postgresql://u:secret@h/x", "postgresql://h/x?user=u&password=secret&sslpassword=secret"]
)
def test_passwords_in_an_address_are_hidden(url: str) -> None:
    assert "secret" not in redacted(url)
    assert redacted(url).startswith("postgresql://")


def test_a_database_without_its_tables_is_not_migrated(tmp_path: Path) -> None:
    empty = Database(f"sqlite:///{tmp_path}/empty.db")
    assert not empty.is_migrated()
    empty.close()


def test_sqlite_is_set_to_lose_nothing(database: Database) -> None:
    if database.engine.dialect.name != "sqlite":
        pytest.skip("of SQLite only")
    with database.read() as c:
        pragmas = {
            name: c.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


def test_a_failed_write_leaves_nothing(database: Database) -> None:
    def write_and_fail() -> None:
        with database.write() as c:
            c.exec_driver_sql("INSERT INTO workers (id, seen_at) VALUES ('w', 1)")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_and_fail()
    with database.read() as c:
        assert c.exec_driver_sql("SELECT count(*) FROM workers").scalar() == 0


def test_the_clock_is_the_database_s_own_on_postgresql_too() -> None:
    assert "clock_timestamp" in str(now().compile(dialect=postgresql.dialect()))  # type: ignore[no-untyped-call]  # SQLAlchemy


def test_a_new_database_can_be_read_only_by_its_owner(tmp_path: Path) -> None:
    home = tmp_path / "new" / "home"
    with closing(Database(f"sqlite:///{home}/rightfit.db")) as database:
        database.migrate()
        with database.write():
            modes = {file.name: oct(file.stat().st_mode)[-3:] for file in (home, *home.iterdir())}
    assert modes == {"home": "700"} | dict.fromkeys(("rightfit.db", "rightfit.db-wal", "rightfit.db-shm"), "600")
