"""Errors of the driver leave the SQL room as errors of the domain."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from service.core.errors import DatabaseError, DatabaseUnavailable, SchemaOutdated
from service.core.settings import Settings
from service.core.sql.engine import Database
from tests.ports import free_port
from tests.servers import Postgresql


@pytest.fixture
def settings(everywhere: Settings) -> Settings:
    return everywhere


def read(database: Database, statement: str) -> None:
    with database.read() as c:
        c.execute(text(statement))


def write(database: Database, statement: str) -> None:
    with database.write() as c:
        c.execute(text(statement))


@pytest.mark.parametrize("run", [read, write])
def test_a_server_that_does_not_answer_is_unavailable(run: Callable[[Database, str], None]) -> None:
    database = Database(f"postgresql://127.0.0.1:{free_port()}/none")
    with pytest.raises(DatabaseUnavailable, match="refused") as raised:
        run(database, "SELECT 1")
    assert "\n" not in raised.value.reason
    database.close()


def test_a_sqlite_file_that_cannot_be_opened_is_unavailable(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/no/such/folder.db")
    with pytest.raises(DatabaseUnavailable, match="unable to open"):
        read(database, "SELECT 1")
    database.close()


def test_a_wrong_statement_is_no_lack_of_the_database(postgresql_server: Postgresql) -> None:
    with postgresql_server.empty() as url:
        database = Database(url)
        with pytest.raises(DatabaseError) as raised:
            read(database, "SELECT FROM WHERE")
        assert not isinstance(raised.value, DatabaseUnavailable | SchemaOutdated)
        database.close()


@pytest.mark.parametrize("statement", ["SELECT * FROM jobs", "SELECT no_column FROM pg_tables"])
def test_a_missing_table_or_column_is_an_outdated_schema(postgresql_server: Postgresql, statement: str) -> None:
    with postgresql_server.empty() as url:
        database = Database(url)
        with pytest.raises(SchemaOutdated):
            read(database, statement)
        database.close()


def test_a_broken_constraint_stays_an_integrity_error(database: Database) -> None:
    with pytest.raises(IntegrityError):
        write(database, "INSERT INTO installation (number, id) VALUES (1, NULL)")


def test_an_error_of_the_caller_passes_unchanged(database: Database) -> None:
    def fail() -> None:
        with database.write():
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
