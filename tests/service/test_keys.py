"""`rightfit keys` as an operator types it."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from service.cli import main
from service.core.database import Database
from service.core.errors import Unauthorized
from service.core.keys import KEY, Keys, Scope
from service.core.settings import Settings


def test_a_key_is_made_listed_and_revoked(tmp_path: Path) -> None:
    runner = CliRunner(env={"RIGHTFIT_HOME": str(tmp_path), "COLUMNS": "200"})
    made = runner.invoke(main, ["keys", "create", "alice", "--name", "laptop", "--scope", "read", "--days", "2"])
    key = made.output.strip()
    found = KEY.fullmatch(key)
    assert made.exit_code == 0, made.output
    assert found
    database = Database(Settings.from_env({"RIGHTFIT_HOME": str(tmp_path)}).database_url)
    try:
        identity = Keys(database).identify(key)
        assert (identity.tenant, identity.scopes) == ("alice", frozenset({Scope.READ}))
        listed = runner.invoke(main, ["keys", "list", "alice"]).output
        assert found[1] in listed
        assert key not in listed
        assert "laptop" in listed
        assert runner.invoke(main, ["keys", "revoke", found[1]]).exit_code == 0
        assert "revoked" in runner.invoke(main, ["keys", "list"]).output
        with pytest.raises(Unauthorized):
            Keys(database).identify(key)
    finally:
        database.close()
    assert "no valid key" in runner.invoke(main, ["keys", "revoke", "nothing"]).output
    assert "letters, digits" in runner.invoke(main, ["keys", "create", "a b"]).output
