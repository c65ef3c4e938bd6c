"""The state of the parts of the one-machine stack, in a file that the stack writes and its API reads."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

STATE_FILE = "RIGHTFIT_STACK_STATE"  # the variable by which the stack gives its API the path of the file


class State(StrEnum):
    STARTING = "starting"
    RUNNING = "running"
    DEAD = "dead"  # until it is started again


@dataclass(frozen=True)
class PartState:
    """The state of one part. `last_death` says how it died last, at `died_at` (Unix seconds)."""

    state: State = State.STARTING
    restarts: int = 0
    last_death: str | None = None
    died_at: float | None = None


def write(path: Path, parts: Mapping[str, PartState]) -> None:
    """Replace the file, so that a reader sees all of the old or of the new state."""
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps({name: asdict(part) for name, part in parts.items()}))
    partial.replace(path)


def read(env: Mapping[str, str] = os.environ) -> dict[str, PartState]:
    """The parts of the stack to which this process belongs, by name; empty outside a stack."""
    try:
        stored = json.loads(Path(env[STATE_FILE]).read_text())
    except (KeyError, OSError):
        return {}
    return {name: PartState(**part | {"state": State(part["state"])}) for name, part in stored.items()}
