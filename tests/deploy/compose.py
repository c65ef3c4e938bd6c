"""Reads the compose files, with the variables of .env.example."""

import re
from typing import Any

import yaml

from service.core.settings import Settings
from tests.deploy import dockerfile
from tests.servers import ROOT

FOLDER = ROOT / "deploy" / "compose"
GPU = "compose.gpu.yaml"
VARIABLE = re.compile(r"\$\{([A-Z0-9_]+):([?-])([^}]*)\}")
_LINES = (FOLDER / ".env.example").read_text().splitlines()
EXAMPLE = dict(line.split("=", 1) for line in _LINES if line and line[0] != "#")


def filled(text: str) -> str:
    """The text with its variables filled in. Passwords become `secret`."""
    return VARIABLE.sub(lambda match: EXAMPLE[match[1]] or "secret", text)


def services(file: str = "compose.yaml") -> dict[str, dict[str, Any]]:
    parsed: dict[str, dict[str, Any]] = yaml.safe_load(filled((FOLDER / file).read_text()))["services"]
    return parsed


def settings_of(name: str) -> Settings:
    service = services()[name]
    return Settings.from_env(dockerfile.environment(service["build"]["target"]) | service["environment"])
