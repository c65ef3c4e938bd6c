import os
from pathlib import Path

import pytest

from service.core.errors import SettingsError
from service.core.settings import Settings


def test_defaults_need_nothing_but_a_folder(tmp_path: Path) -> None:
    settings = Settings.from_env({"RIGHTFIT_HOME": str(tmp_path)})
    assert settings.database_url == f"sqlite:///{tmp_path}/rightfit.db"
    assert settings.storage_url == f"{tmp_path}/storage"
    assert (settings.host, settings.port, settings.redis_url) == ("127.0.0.1", 8000, None)
    assert (settings.lease_seconds, settings.heartbeat_seconds) == (60, 10)


def test_code_and_environment_have_the_same_defaults(tmp_path: Path) -> None:
    from_env = Settings.from_env({"RIGHTFIT_HOME": str(tmp_path)})
    in_code = Settings(
        home=tmp_path, database_url=f"sqlite:///{tmp_path}/rightfit.db", storage_url=f"{tmp_path}/storage"
    )
    assert in_code == from_env
    assert in_code.threads == len(os.sched_getaffinity(0))


def test_without_an_address_redis_is_on_this_machine(tmp_path: Path) -> None:
    assert Settings.from_env({"RIGHTFIT_HOME": str(tmp_path)}).broker_url == "redis://127.0.0.1:6379/0"
    assert Settings.from_env({"RIGHTFIT_REDIS_URL": "redis://h:1/2"}).broker_url == "redis://h:1/2"


def test_no_error_repeats_a_password() -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_env({"RIGHTFIT_REDIS_URL": "redis://user:hidden@h:port"})
    assert "hidden" not in str(caught.value)


def test_a_child_process_reads_the_very_same_settings(tmp_path: Path) -> None:
    given = {
        "RIGHTFIT_HOME": str(tmp_path),
        "RIGHTFIT_PORT": "8123",
        "RIGHTFIT_ALLOW_NO_AUTH": "yes",
        "RIGHTFIT_THREADS": "3",
    }
    settings = Settings.from_env(given)
    assert Settings.from_env(settings.to_env()) == settings


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("PORT", "eighty", "whole number from 0 to 65535"),
        ("PORT", "65536", "whole number from 0 to 65535"),
        ("THREADS", "1.5", "whole number"),
        ("LEASE_SECONDS", "nan", "number from 1"),
        ("AUTH", "maybe", "allowed: none"),
        ("REDIS_URL", "nonsense", "allowed: redis"),
        ("REDIS_URL", "http://127.0.0.1:1", "allowed: redis"),
        ("REDIS_URL", "redis://127.0.0.1:port", "allowed: redis"),
        ("REDIS_URL", "redis://h:6379/abc", "allowed: redis"),
        ("REDIS_URL", "redis://h:6379/0?foo=1", "allowed: redis"),
        ("REDIS_URL", "redis://h:/0", "allowed: redis"),
        ("HEARTBEAT_SECONDS", "31", "at most half"),
        ("METRICS", "keys", "needs RIGHTFIT_AUTH=keys"),
        ("METRICS_PORT", "0", "whole number from 1 to 65535"),
        ("LOG_FORMAT", "xml", "allowed: console, json"),
        ("LOG_LEVEL", "loud", "allowed: info"),
        ("KEEP_JOBS_DAYS", "0", "number from 0.01"),
        ("KEEP_ORPHANS_DAYS", "0.5", "number from 1"),
    ],
)
def test_a_bad_value_is_named_with_what_is_allowed(name: str, value: str, allowed: str) -> None:
    with pytest.raises(SettingsError, match=allowed) as caught:
        Settings.from_env({f"RIGHTFIT_{name}": value})
    assert f"RIGHTFIT_{name}" in str(caught.value)


def test_one_error_lists_every_fault() -> None:
    wrong = {"PORT": "many", "AUTH": "maybe", "REDIS_URL": "nonsense", "KEEP_JOBS_DAYS": "soon", "LEASE_SECONDS": "9"}
    with pytest.raises(SettingsError) as caught:
        Settings.from_env({f"RIGHTFIT_{name}": value for name, value in wrong.items()})
    for name in ("PORT", "AUTH", "REDIS_URL", "KEEP_JOBS_DAYS", "HEARTBEAT_SECONDS"):
        assert f"RIGHTFIT_{name}" in str(caught.value)


def test_days_of_retention_are_optional(tmp_path: Path) -> None:
    given = {"RIGHTFIT_HOME": str(tmp_path), "RIGHTFIT_KEEP_JOBS_DAYS": "0.5"}
    settings = Settings.from_env(given)
    assert (settings.keep_jobs_days, settings.keep_datasets_days) == (0.5, None)
    assert Settings.from_env(settings.to_env()) == settings


@pytest.mark.parametrize(
    "url", ["redis://h", "redis://h:6379/0", "rediss://user:pa:ss@h.example:1/15", "redis://[::1]:6379"]
)
def test_the_addresses_of_redis_are_taken(url: str) -> None:
    assert Settings.from_env({"RIGHTFIT_REDIS_URL": url}).redis_url == url
