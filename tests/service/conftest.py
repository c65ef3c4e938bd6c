"""A service that the tests of the client and of the command talk to."""

from collections.abc import Iterator

import pytest

from service.core.settings import Settings
from tests.service.live import Live


@pytest.fixture
def live(migrated: Settings) -> Iterator[Live]:
    with Live(migrated) as live:
        yield live
