"""`rightfit migrate`: what a deployment runs before its workers and its API."""

import threading
import time
from pathlib import Path

from click.testing import CliRunner, Result

from service.cli import main
from service.core.sql.engine import Database
from tests.servers import Postgresql
from tests.service.cli.commands import document
from tests.service.core.sql.released import REVISIONS


def migrate(url: str, *words: str) -> Result:
    return CliRunner(env={"RIGHTFIT_DATABASE_URL": url}).invoke(main, ["migrate", *words])


def test_a_schema_is_brought_to_this_release_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/deep/rightfit.db"
    first, second = migrate(url), migrate(url)
    assert (first.exit_code, second.exit_code) == (0, 0)
    assert first.stdout.strip().endswith(f"was brought from nothing to {REVISIONS[-1]}")
    assert second.stdout.strip().endswith(f"is at {REVISIONS[-1]} already")
    assert document(migrate(url, "--json")) == {"database": url, "from": REVISIONS[-1], "to": REVISIONS[-1]}
    database = Database(url)
    assert database.is_migrated()
    database.close()


def test_a_database_that_is_starting_is_waited_for(postgresql_server: Postgresql) -> None:
    with postgresql_server.empty() as url:
        postgresql_server.stop()
        try:
            away = migrate(url, "--wait", "0")
            assert (away.exit_code, "RIGHTFIT_DATABASE_URL" in away.stderr) == (1, True)
            results: list[Result] = []
            thread = threading.Thread(target=lambda: results.append(migrate(url, "--wait", "60")))
            thread.start()
            time.sleep(0.7)
            assert thread.is_alive()
        finally:
            postgresql_server.start()
        thread.join(90)
        assert results[0].exit_code == 0, results[0].output
        assert "from nothing" in results[0].stdout
