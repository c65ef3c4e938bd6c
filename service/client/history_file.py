"""The request that diagnoses a run trained elsewhere."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from service.client.types import Json

Source = Path | bytes | Sequence[Mapping[str, Any]]  # a file, its content, or one object an epoch


def content(history: Source, facts: Mapping[str, Any]) -> Json:
    """The arguments of the request, whose body is a list of epochs with the facts, or a file with them in the query.

    Facts that are None are left out. Raises ValueError for a spec beside a file.
    """
    known = {name: value for name, value in facts.items() if value is not None}
    if not isinstance(history, Path | bytes):
        return {"json": {"epochs": [_spelled(epoch) for epoch in history], **known}}
    if "spec" in known:
        raise ValueError("spec needs a history as a list of epochs, not a file")
    if "label_counts" in known:
        known["label_counts"] = ",".join(map(str, known["label_counts"]))
    if "columns" in known:
        known["columns"] = ",".join(f"{measure}:{column}" for measure, column in known["columns"].items())
    data = history if isinstance(history, bytes) else history.read_bytes()
    return {"params": known, "content": data, "headers": {"Content-Type": "application/octet-stream"}}


def _spelled(epoch: Mapping[str, Any]) -> Json:
    """The epoch with numbers that are not finite as text: JSON has no such numbers."""
    return {
        name: str(value) if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in epoch.items()
    }
