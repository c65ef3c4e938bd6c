"""Values that the manifests must match: the settings, and the time that a worker needs to stop."""

import re
import tomllib
from dataclasses import fields

from deploy.validate import KUBECTL
from service.core.settings import Settings
from service.core.storage.s3 import REQUEST_SECONDS
from service.stack.standalone import GUNICORN_CONFIG
from tests.servers import ROOT
from workers.supervisor.persistence import WRITE_SECONDS
from workers.supervisor.trainer_handle import EXIT_SECONDS

BINARIES = KUBECTL.parent
UV = str(BINARIES / "uv")
VERSION: str = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
SETTINGS = {f"RIGHTFIT_{field.name.upper()}" for field in fields(Settings)}
GOODBYE_SECONDS = 5.0  # as in workers.app, which creates its Celery app at import
# For requests in flight, and 10 s to exit.
GUNICORN_SECONDS = int(re.findall(r"^graceful_timeout = (\d+)", GUNICORN_CONFIG.read_text(), re.MULTILINE)[0]) + 10
UNITS = {"s": 1, "m": 60, "Mi": 1 << 20, "Gi": 1 << 30, "mb": 1 << 20, "gb": 1 << 30}


def in_units(text: str) -> int:
    """The seconds of a duration or the bytes of a size in a manifest: 3m, 16Mi, 1gb."""
    match = re.fullmatch(r"(\d+)([A-Za-z]+)", text)
    assert match, text
    return int(match[1]) * UNITS[match[2]]


def stopping_seconds(stop_seconds: float) -> float:
    """The longest time a worker needs to stop: the trainer, the last checkpoint to a slow storage, the last writes."""
    return stop_seconds + EXIT_SECONDS + REQUEST_SECONDS + WRITE_SECONDS + GOODBYE_SECONDS
