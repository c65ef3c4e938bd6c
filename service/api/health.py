"""Probes for supervisors: is the process alive, and can it do its work."""

from typing import Any

from flask import Flask, Response, jsonify

from service.core.errors import DatabaseError, StorageError
from service.schemas.answer_fields import format_time
from service.services import services
from service.stack.state import PartState
from service.stack.state import read as read_parts


def register(app: Flask) -> None:
    """Add /livez and /readyz, which are not part of the API document: they are for supervisors, not for users."""
    app.add_url_rule("/livez", view_func=livez)
    app.add_url_rule("/readyz", view_func=readyz)


def livez() -> Any:
    """The process answers."""
    return {"status": "ok"}


def readyz() -> Response:
    """Status 200 if database and storage work. Redis, workers and the parts of a one-machine stack are only reported:
    jobs are accepted without them.
    """
    checks = {"database": _database(), "storage": _storage()}
    ready = all(state == "ok" for state in checks.values())
    checks["redis"] = "ok" if services().wakeups.ping() else "unavailable: jobs are kept and start when it is back"
    alive = len(services().registry.live_workers(services().settings.lease_seconds)) if ready else 0
    body: dict[str, Any] = {"status": "ok" if ready else "unavailable", "checks": checks, "workers": alive}
    if parts := read_parts():
        body["parts"] = {name: _part(part) for name, part in parts.items()}
    answer = jsonify(body)
    answer.status_code = 200 if ready else 503
    if not ready:
        answer.headers["Retry-After"] = "2"
    return answer


def _part(part: PartState) -> dict[str, Any]:
    died_at = None if part.died_at is None else format_time(part.died_at)
    return {"state": part.state, "restarts": part.restarts, "last_death": part.last_death, "died_at": died_at}


def _database() -> str:
    try:
        is_migrated = services().database.is_migrated()
    except DatabaseError as error:
        return f"unavailable: {type(error.__cause__).__name__}"  # the driver's own word
    return "ok" if is_migrated else "its schema is older than this version; run `rightfit migrate`"


def _storage() -> str:
    try:
        services().storage.check()
    except StorageError as error:
        return str(error)
    return "ok"
