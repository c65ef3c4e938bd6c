"""The pages in this process, over a database of their own, with the worker's part played by the test."""

from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient

from service.api.context import Parts
from service.app import create_app
from service.core.settings import Settings


@pytest.fixture
def settings(everywhere: Settings) -> Settings:
    return everywhere


@pytest.fixture
def app(settings: Settings) -> Iterator[Flask]:
    app = create_app(settings)
    app.extensions["rightfit"].database.migrate()
    yield app
    app.extensions["rightfit"].database.close()


@pytest.fixture
def parts(app: Flask) -> Parts:
    found: Parts = app.extensions["rightfit"]
    return found


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()
