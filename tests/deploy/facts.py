"""What the manifests must agree with: the settings, and how long a worker may take to stop."""

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
GOODBYE_SECONDS = 5.0  # workers.app, which makes its Celery app when it is imported
# For requests in flight, and to go.
GUNICORN_SECONDS = int(re.findall(r"^graceful_timeout = (\d+)", GUNICORN_CONFIG.read_text(), re.MULTILINE)[0]) + 10
UNITS = {"s": 1, "m": 60, "Mi": 1 << 20, "Gi": 1 << 30, "mb": 1 << 20, "gb": 1 << 30}


def in_units(text: str) -> int:
    """Seconds of a duration, bytes of a size, as manifests write them: 3m, 16Mi, 1gb."""
    found = re.fullmatch(r"(\d+)([A-Za-z]+)", text)
    assert found, text
    return int(found[1]) * UNITS[found[2]]


def stopping_seconds(stop_seconds: float) -> float:
    """The most that a worker needs to stop: its trainer, the last checkpoint to a slow storage, the last writes."""
    return stop_seconds + EXIT_SECONDS + REQUEST_SECONDS + WRITE_SECONDS + GOODBYE_SECONDS
