"""`rightfit doctor`: what it says where all is well, and what it advises where it is not."""

import json
import time
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import redis
from click.testing import CliRunner, Result
from sqlalchemy import insert, text

from service.cli import checks, main, maintenance
from service.core.actions.backup import LAST
from service.core.settings import Settings
from service.core.sql.clock import now
from service.core.sql.engine import Database
from service.core.sql.tables import workers
from service.core.text import DAY
from tests.ports import free_port
from tests.servers import Postgresql
from tests.service.cli.commands import document
from tests.service.live import Live


def doctor(env: dict[str, str], *words: str) -> Result:
    return CliRunner(env={"COLUMNS": "200"} | env).invoke(main, ["doctor", *words])


def checks_of(env: dict[str, str]) -> dict[str, dict[str, Any]]:
    return {check["name"]: check for check in document(doctor(env, "--json"))["checks"]}


def test_a_healthy_stack_passes_all_checks(live: Live, settings: Settings) -> None:
    live.parts.registry.heartbeat("machine:1", 60)
    live.parts.storage.check()
    env = settings.to_env() | {"RIGHTFIT_URL": live.url}
    report = doctor(env)
    assert report.exit_code == 0, report.output
    assert "FAIL" not in report.stdout
    names = [line.removeprefix("ok").split(":")[0].strip() for line in report.stdout.splitlines()]
    stack = ["settings", "broker", "database", "workers", "storage", "disk", "retention", "backup", "to do"]
    assert names == [*stack, "gpu", "versions", "service"]
    assert "rightfit backup" in report.stdout
    assert "machine:1" in report.stdout
    assert "its schema is of this version" in report.stdout
    assert document(doctor(env, "--json"))["ok"] is True


def test_each_fault_has_its_remedy_and_the_exit_code_is_1(live: Live, settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    broken = replace(
        settings, redis_url=f"redis://:secret@127.0.0.1:{free_port()}/0", storage_url=str(tmp_path / "file")
    )
    env = broken.to_env() | {"RIGHTFIT_URL": f"http://127.0.0.1:{free_port()}"}
    report = doctor(env)
    assert report.exit_code == 1
    assert "secret" not in report.stdout
    checked = checks_of(env)
    wrong = {name for name, check in checked.items() if not check["is_ok"]}
    assert wrong == {"broker", "workers", "storage", "service"}
    assert all(checked[name]["remedy"] for name in wrong)
    assert "rightfit serve" in checked["workers"]["remedy"]
    assert all(check["remedy"] in report.stdout for check in checked.values())


def test_another_schema_and_an_absent_database_are_reported(live: Live, settings: Settings) -> None:
    with live.parts.database.write() as c:
        c.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    assert "another schema than this version" in checks_of(settings.to_env())["database"]["words"]
    away = replace(settings, database_url=f"postgresql://u:secret@127.0.0.1:{free_port()}/x").to_env()
    database = checks_of(away)["database"]
    assert (database["is_ok"], "secret" in str(database)) == (False, False)
    assert "RIGHTFIT_DATABASE_URL" in database["remedy"]


def test_a_fresh_machine_needs_a_start_and_stays_unchanged(tmp_path: Path) -> None:
    checked = checks_of({"RIGHTFIT_HOME": str(tmp_path / "home")})
    assert {name for name, check in checked.items() if not check["is_ok"]} == {"workers"}
    assert not (tmp_path / "home").exists()


def test_settings_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    settings = checks_of({"RIGHTFIT_HOME": str(tmp_path), "RIGHTFIT_PORT": "many"})["settings"]
    assert (settings["is_ok"], "RIGHTFIT_PORT" in settings["words"]) == (False, True)


def test_a_remote_service_skips_the_checks_of_this_machine() -> None:
    first = list(islice(checks.run_checks({}, "http://192.0.2.1:1"), 3))  # the next one would call there
    assert [check.name for check in first] == ["this machine", "gpu", "versions"]


def test_in_another_folder_the_service_is_asked(live: Live, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    live.parts.registry.heartbeat("machine:1", 60)
    monkeypatch.chdir(tmp_path)
    report = doctor({"RIGHTFIT_URL": live.url})
    assert report.exit_code == 0, report.output
    assert f"not checked: there is no stack in this folder ({tmp_path / 'var'})" in report.stdout
    assert f"{live.url} is ready, 1 worker" in report.stdout
    assert not (tmp_path / "var").exists()


def test_in_another_folder_the_usual_address_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(checks, "DEFAULT_URL", f"http://127.0.0.1:{free_port()}")
    checked = checks_of({})
    assert {name for name, check in checked.items() if not check["is_ok"]} == {"service"}
    assert "RIGHTFIT_URL" in checked["service"]["remedy"]


def test_a_refused_key_is_reported(settings: Settings) -> None:
    with Live(replace(settings, auth="keys")) as live:
        live.parts.registry.heartbeat("machine:1", 60)
        env = settings.to_env() | {"RIGHTFIT_URL": live.url, "RIGHTFIT_API_KEY": "rf_wrong"}
        assert "rightfit keys create" in checks_of(env)["service"]["remedy"]


def test_a_gpu_and_a_failing_driver_are_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "nvidia-smi"
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    program.write_text("#!/bin/sh\necho 'Some GPU, 80 GiB, 570.1'\n")
    program.chmod(0o755)
    assert checks_of({"RIGHTFIT_HOME": str(tmp_path)})["gpu"]["words"] == "Some GPU, 80 GiB, 570.1"
    program.write_text("#!/bin/sh\nexit 9\n")
    assert not checks_of({"RIGHTFIT_HOME": str(tmp_path)})["gpu"]["is_ok"]


def test_an_unusable_home_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    settings = checks_of({"RIGHTFIT_HOME": str(tmp_path / "file" / "home")})["settings"]
    assert (settings["is_ok"], "cannot be used" in settings["words"]) == (False, True)
    assert "RIGHTFIT_HOME" in settings["remedy"]


def test_an_open_host_without_keys_is_a_fault(tmp_path: Path) -> None:
    settings = checks_of({"RIGHTFIT_HOME": str(tmp_path), "RIGHTFIT_HOST": "0.0.0.0"})["settings"]  # noqa: S104 - the fault
    assert (settings["is_ok"], "RIGHTFIT_ALLOW_NO_AUTH" in settings["words"]) == (False, True)


def test_a_misspelled_variable_is_reported(tmp_path: Path) -> None:
    variables = checks_of({"RIGHTFIT_HOME": str(tmp_path), "RIGHTFIT_PROT": "9000"})["variables"]
    assert "RIGHTFIT_PROT is not known and has no effect; did you mean RIGHTFIT_PORT?" in variables["words"]


def test_one_worker_is_counted_in_the_singular(live: Live, settings: Settings) -> None:
    live.parts.registry.heartbeat("machine:1", 60)
    assert checks_of(settings.to_env() | {"RIGHTFIT_URL": live.url})["service"]["words"].endswith(", 1 worker")


def test_all_bad_settings_are_reported_together(tmp_path: Path) -> None:
    env = {"RIGHTFIT_HOME": str(tmp_path)}
    words = checks_of(env | {"RIGHTFIT_PORT": "many", "RIGHTFIT_AUTH": "maybe"})["settings"]["words"]
    assert "RIGHTFIT_PORT" in words
    assert "RIGHTFIT_AUTH" in words
    wrong = {"RIGHTFIT_DATABASE_URL": "nothing://x", "RIGHTFIT_STORAGE_URL": "ftp://x", "RIGHTFIT_HOST": "192.0.2.1"}
    words = checks_of(env | wrong)["settings"]["words"]
    assert all(name in words for name in wrong)


def test_the_schema_of_a_newer_release_passes(live: Live, settings: Settings) -> None:
    with live.parts.database.write() as c:
        c.execute(text("UPDATE alembic_version SET version_num = 'of_a_newer_release'"))
    database = checks_of(settings.to_env())["database"]
    assert (database["is_ok"], "of_a_newer_release" in database["words"]) == (True, True)


def test_workers_of_several_releases_are_reported(live: Live, settings: Settings) -> None:
    live.parts.registry.heartbeat("old:1", 60)
    with live.parts.database.write() as c:
        c.execute(insert(workers).values(id="new:1", seen_at=now(), version="9.9"))
    reported = checks_of(settings.to_env())["workers"]
    assert "9.9" in reported["words"]
    assert "SIGTERM" in reported["remedy"]


def test_retention_and_the_last_backup_are_reported(live: Live, settings: Settings, tmp_path: Path) -> None:
    env = replace(settings, keep_jobs_days=30.0).to_env()
    assert "ended jobs for 30 days" in checks_of(env)["retention"]["words"]
    assert "checkpoints for ever" in checks_of(env)["retention"]["words"]
    assert "none" in checks_of(env)["backup"]["words"]
    made = CliRunner(env=env).invoke(main, ["backup", str(tmp_path / "backup")])
    assert made.exit_code == 0, made.output
    checked = checks_of(env)["backup"]
    assert (str(tmp_path / "backup") in checked["words"], checked["remedy"]) == (True, "")
    last = settings.home / LAST
    backup = json.loads(last.read_text())
    last.write_text(json.dumps(backup | {"made_at": time.time() - 7.1 * DAY, "lacking": ["jobs/x"]}))
    old = checks_of(env)["backup"]
    assert f"rightfit backup {tmp_path / 'backup'}" in old["remedy"]
    assert "7 days old" in old["words"]
    assert "lacks 1 file " in old["words"]


def test_a_full_disk_and_a_wrong_clock_fail(
    settings: Settings, postgresql_server: Postgresql, monkeypatch: pytest.MonkeyPatch
) -> None:
    with postgresql_server.database() as url:
        env = replace(settings, database_url=url).to_env()
        healthy = checks_of(env)
        assert (healthy["clock"]["is_ok"], healthy["disk"]["is_ok"], "backup" in healthy) == (True, True, False)
        real = Database.now
        monkeypatch.setattr(Database, "now", lambda self: real(self) + 100)
        monkeypatch.setattr(maintenance, "MIN_FREE", 1 << 62)
        checked = checks_of(env)
        assert "100.0 s behind" in checked["clock"]["words"]
        assert [checked[name]["is_ok"] for name in ("clock", "disk")] == [False, False]


def test_a_redis_that_deletes_keys_is_reported(live: Live, settings: Settings) -> None:
    assert settings.redis_url is not None
    with redis.Redis.from_url(settings.redis_url) as client:
        client.config_set("maxmemory", "1gb")
        client.config_set("maxmemory-policy", "allkeys-lru")
        try:
            broker = checks_of(settings.to_env())["broker"]
        finally:
            client.config_set("maxmemory-policy", "noeviction")
            client.config_set("maxmemory", "0")
    assert "allkeys-lru" in broker["words"]
    assert "noeviction" in broker["remedy"]


def test_a_home_that_others_can_read_is_reported(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o755)
    report = doctor({"RIGHTFIT_HOME": str(home)})
    assert f"run chmod 700 {home}" in report.stdout
    home.chmod(0o700)
    assert "chmod" not in doctor({"RIGHTFIT_HOME": str(home)}).stdout
