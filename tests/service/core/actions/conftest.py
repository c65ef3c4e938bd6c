"""The house of the tests of actions; a module that sets its `settings` chooses the database and the storage."""

from pathlib import Path

import pytest

from service.core.settings import Settings
from service.core.sql.engine import Database
from service.core.storage import open_storage
from tests.service.core.actions.house import House


@pytest.fixture
def house(settings: Settings, database: Database, tmp_path: Path) -> House:
    return House(settings, database, open_storage(settings.storage_url), tmp_path)
