"""The Python client of the service: `from service.client import Rightfit`."""

from service.client.download import sha256
from service.client.errors import ApiError, Damaged, NotRightfit, UnusableKey
from service.client.rightfit import DEFAULT_URL, MAX_LINES, Rightfit
from service.client.transport import LOOPBACK, bearer, document
from service.client.types import Event, History, Json, Note, Progress

__all__ = [
    "DEFAULT_URL",
    "LOOPBACK",
    "MAX_LINES",
    "ApiError",
    "Damaged",
    "Event",
    "History",
    "Json",
    "NotRightfit",
    "Note",
    "Progress",
    "Rightfit",
    "UnusableKey",
    "bearer",
    "document",
    "sha256",
]
