"""`rightfit keys`: create, list and revoke."""

import json
from datetime import datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from service.cli import main
from service.core.errors import Unauthorized
from service.core.settings import Settings
from service.core.sql.api_keys import KEY, ApiKeys, Scope
from service.core.sql.engine import Database


def test_a_key_is_created_listed_and_revoked(tmp_path: Path) -> None:
    runner = CliRunner(env={"RIGHTFIT_HOME": str(tmp_path)})
    database = Database(Settings.from_env({"RIGHTFIT_HOME": str(tmp_path)}).database_url)
    database.migrate()
    made = runner.invoke(main, ["keys", "create", "alice", "--name", "laptop", "--scope", "read", "--days", "2"])
    key = made.output.strip()
    match = KEY.fullmatch(key)
    assert made.exit_code == 0, made.output
    assert match
    try:
        identity = ApiKeys(database).identify(key)
        assert (identity.tenant, identity.scopes) == ("alice", frozenset({Scope.READ}))
        listed = runner.invoke(main, ["keys", "list", "alice"]).output
        assert match[1] in listed
        assert key not in listed
        assert "laptop" in listed
        assert runner.invoke(main, ["keys", "revoke", match[1]]).output == f"revoked {match[1]} of alice laptop\n"
        (listed_key,) = json.loads(runner.invoke(main, ["keys", "list", "--json"]).output)["data"]
        assert datetime.fromisoformat(listed_key["revoked_at"]) > datetime.fromisoformat(listed_key["created_at"])
        assert listed_key["used_at"] is not None
        assert "revoked" in runner.invoke(main, ["keys", "list"]).output
        with pytest.raises(Unauthorized):
            ApiKeys(database).identify(key)
    finally:
        database.close()
    assert "no valid key" in runner.invoke(main, ["keys", "revoke", "nothing"]).output
    assert "letters, digits" in runner.invoke(main, ["keys", "create", "a b"]).output
    assert "control characters" in runner.invoke(main, ["keys", "create", "a", "--name", "x\u202ey"]).output


@pytest.mark.parametrize("words", [["list"], ["create", "alice"], ["revoke", "x"]])
def test_a_missing_home_is_named_and_not_created(tmp_path: Path, words: list[str]) -> None:
    home = tmp_path / "var"
    failed = CliRunner(env={"RIGHTFIT_HOME": str(home)}).invoke(main, ["keys", *words])
    assert failed.exit_code == 1
    for word in (str(home), "RIGHTFIT_HOME", "RIGHTFIT_DATABASE_URL", "rightfit serve"):
        assert word in failed.stderr, word
    assert not home.exists()
