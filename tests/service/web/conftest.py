"""The pages in this process: the fixtures are those of the API's tests, which run over both databases; these do not."""

from tests.service.api.conftest import app, client
from tests.service.api.conftest import services as parts

__all__ = ["app", "client", "parts"]
