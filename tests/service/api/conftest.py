"""The API in this process, over a real database and a real Redis, and the test takes the part of the worker."""

from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient

from service.app import create_app
from service.core.settings import Settings
from service.services import Services
from tests.service.api.documented import DocumentedClient
from tests.service.api.receivers import Receiver


@pytest.fixture
def settings(everywhere: Settings) -> Settings:
    return everywhere


@pytest.fixture
def app(migrated: Settings) -> Iterator[Flask]:
    app = create_app(migrated)
    app.test_client_class = DocumentedClient
    yield app
    app.extensions["rightfit"].database.close()


@pytest.fixture
def services(app: Flask) -> Services:
    services: Services = app.extensions["rightfit"]
    return services


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    yield server
    server.close()
