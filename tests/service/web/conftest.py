"""The pages in this process: the fixtures are those of the API's tests."""

from tests.service.api.conftest import app, client, parts, settings

__all__ = ["app", "client", "parts", "settings"]
