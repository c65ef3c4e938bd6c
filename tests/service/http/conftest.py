"""Settings of an API with a database of its own."""

import shutil
from pathlib import Path

import pytest

from service.core.settings import Settings
from tests.conftest import Redis, local_settings


@pytest.fixture(scope="module")
def api_settings(tmp_path_factory: pytest.TempPathFactory, redis_server: Redis, migrated_file: Path) -> Settings:
    settings = local_settings(tmp_path_factory.mktemp("api"), redis_server)
    settings.home.mkdir()
    shutil.copy(migrated_file, settings.home / "rightfit.db")
    return settings
