"""The Python client of the service: `from service.client import Rightfit`."""

from service.client.rightfit import (
    DEFAULT_URL,
    LOOPBACK,
    MOST_LINES,
    ApiError,
    Damaged,
    Event,
    History,
    Json,
    NotRightfit,
    Progress,
    Rightfit,
    UnusableKey,
    bearer,
    document,
    sha256,
)

__all__ = [
    "DEFAULT_URL",
    "LOOPBACK",
    "MOST_LINES",
    "ApiError",
    "Damaged",
    "Event",
    "History",
    "Json",
    "NotRightfit",
    "Progress",
    "Rightfit",
    "UnusableKey",
    "bearer",
    "document",
    "sha256",
]
