"""The tests of the job record run over both databases."""

import pytest

from service.core.settings import Settings


@pytest.fixture
def settings(everywhere: Settings) -> Settings:
    return everywhere
