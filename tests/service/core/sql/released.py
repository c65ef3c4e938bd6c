"""Rows as each release has left them in its database: of every table of its schema, in every status."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Boolean, Connection, Float, Integer, MetaData, Table

from service.core.sql.migrate import known_revisions
from service.http.auth import DEFAULT_TENANT

REVISIONS = tuple(sorted(known_revisions()))
# A spec as the first release with that schema stored it; those between have the one before.
SPECS = json.loads((Path(__file__).parent / "released_specs.json").read_text())
STATUSES = ("queued", "running", "paused", "succeeded", "failed", "cancelled")
ENDED = STATUSES[3:]
EPOCHS = 3
BEGAN = 1_700_000_000.0
SHA256 = "9f" * 32


def known_tables(c: Connection) -> dict[str, Table]:
    """The tables of the present schema."""
    tables = MetaData()
    tables.reflect(c)
    return {table.name: table for table in tables.sorted_tables if table.name != "alembic_version"}


def populate(c: Connection, revision: str, tables: dict[str, Table]) -> None:
    """Insert rows into every table as the release of that revision does: with the columns of its schema only."""
    known = dict(_rows(revision))
    for name, table in tables.items():
        c.execute(table.insert(), [_whole(table, row) for row in known.get(name, [{}])])


def _rows(revision: str) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    spec = SPECS[max(known for known in SPECS if known <= revision)]
    yield "jobs", [_job(spec, status) for status in STATUSES]
    yield "job_labels", [{"job_id": f"job_{status}", "key": "project", "value": "old"} for status in STATUSES]
    begun = [f"job_{status}" for status in STATUSES[1:]]
    yield "epochs", [_epoch(job_id, number) for job_id in begun for number in range(1, EPOCHS + 1)]
    yield "events", [event for status in STATUSES for event in _events(status)]
    file = {"name": "best_model.pth", "key": "jobs/job_succeeded/a1/best_model.pth", "bytes": 7, "sha256": SHA256}
    yield "artifacts", [file | {"job_id": "job_succeeded", "attempt": 1, "media_type": "application/octet-stream"}]
    yield "datasets", [_dataset(file, status) for status in ("processing", "ready", "failed", "deleting")]
    yield "idempotency", [{"tenant": DEFAULT_TENANT, "key": "once", "digest": SHA256, "job_id": "job_succeeded"}]
    own = {"tenant": DEFAULT_TENANT, "created_at": BEGAN}
    yield "ablations", [own | {"id": "abl_1", "spec": spec, "seeds": [1], "arms": [{"name": "base", "patch": []}]}]
    yield "folds", [own | {"id": "fld_1", "spec": spec, "folds": 5, "seeds": [1]}]
    status = {"status": "running", "phase": "searching", "labels": {}, "request": {"spec": spec}}
    yield "fits", [own | status | {"id": "fit_1"}]
    yield "fit_steps", [{"fit_id": "fit_1", "number": 1, "at": BEGAN, "kind": "start", "data": {}}]
    kind = {"fit": "fit_1", "network": "cnn", "channels": 1, "objective": "val_loss", "seed": 1}
    lessons = kind | {"dataset": spec["dataset"], "changes": {"dropout": [-0.1]}, "kept": None}
    yield "fit_lessons", [{"fit_id": "fit_1", "tenant": DEFAULT_TENANT, "at": BEGAN, "data": lessons}]
    message = {"url": "https://192.0.2.1/", "type": "job.succeeded", "body": "{}", "status": "pending", "attempts": 1}
    yield "deliveries", [own | message | {"id": "msg_1", "job_id": "job_succeeded", "due_at": BEGAN}]
    yield "keys", [own | {"id": "abcdef012345", "name": "old", "digest": SHA256, "scopes": ["read"]}]
    yield (
        "log_lines",
        [{"job_id": "job_failed", "id": 1, "attempt": 1, "at": BEGAN, "level": "info", "message": "attempt 1"}],
    )
    yield "installation", [{"number": 1, "id": "the_old_one"}]
    yield "workers", [{"id": "old:1", "seen_at": BEGAN}]


def _dataset(file: dict[str, Any], status: str) -> dict[str, Any]:
    return {
        "id": f"ds_{status}",
        "tenant": DEFAULT_TENANT,
        "name": status,
        "format": "zip",
        "status": status,
        "upload": file | {"media_type": "application/zip"},
        "packed": [],
        "contents": _contents() if status == "ready" else None,
        "error": {"code": "invalid_data", "detail": "no images"} if status == "failed" else None,
        "attempt": 1,
        "created_at": BEGAN,
    }


def _events(status: str) -> Iterator[dict[str, Any]]:
    """The transitions of a job from its submission to this status."""
    passed = ["queued"] if status == "queued" else ["queued", "running"] if status == "running" else None
    for seq, each in enumerate(passed or ["queued", "running", status], 1):
        yield {"job_id": f"job_{status}", "seq": seq, "type": "status", "data": {"status": each}, "at": BEGAN + seq}


def _job(spec: dict[str, Any], status: str) -> dict[str, Any]:
    has_begun, has_ended = status != "queued", status in ENDED
    return {
        "id": f"job_{status}",
        "tenant": DEFAULT_TENANT,
        "spec": spec,
        "dataset": spec["dataset"]["id"],
        "priority": spec["priority"],
        "status": status,
        "phase": "training" if status == "running" else None,
        "stop_reason": {"succeeded": "max_epochs", "failed": "internal_error", "cancelled": "cancelled"}.get(status),
        "error": {"origin": "user", "code": "diverged", "detail": "old"} if status == "failed" else None,
        "attempt": int(has_begun),
        "version": 1 + has_begun + (status not in ("queued", "running")),
        "worker": "old:1" if has_begun else None,
        "lease_until": BEGAN if status == "running" else None,
        "last_epoch": EPOCHS if has_begun else None,
        "best_epoch": 1 if has_begun else None,
        "created_at": BEGAN,
        "started_at": BEGAN if has_begun else None,
        "finished_at": BEGAN + 9 if has_ended else None,
        "checkpoints": [],
        "losses": [],
        "warnings": [],
    }


def _epoch(job_id: str, number: int) -> dict[str, Any]:
    return {
        "job_id": job_id,
        "epoch": number,
        "attempt": 1,
        "train_loss": 1 / number,
        "train_loss_clean": 1 / number,
        "val_loss": 0.5 + 0.1 * number,
        "train_accuracy": 0.9,
        "val_accuracy": 0.8,
        "penalty": 0.0,
        "lr": 1e-3,
        "seconds": 0.1,
        "images_per_second": 100.0,
        "improved": number == 1,
        "epochs_without_improvement": number - 1,
    }


def _contents() -> dict[str, Any]:
    return {
        "classes": ["cat", "dog"],
        "samples_per_class": [10, 10],
        "shape": [3, 8, 8],
        "is_uniform": True,
        "sizes": [],
        "modes": {"RGB": 20},
        "parts": None,
        "copies": {},
        "warnings": [],
        "digest": SHA256,
    }


def _whole(table: Table, known: dict[str, Any]) -> dict[str, Any]:
    """A row with the known values that the schema has columns for, and some value in every other required column."""
    row = {name: value for name, value in known.items() if name in table.columns}
    for column in table.columns:
        must = not column.nullable and column.server_default is None and column.autoincrement is not True
        if must and column.name not in row and not (column.primary_key and isinstance(column.type, Integer)):
            row[column.name] = _something(column.type)
    return row


def _something(kind: Any) -> Any:
    if isinstance(kind, Boolean):
        return False
    if isinstance(kind, Float):
        return BEGAN
    return 0 if isinstance(kind, Integer) else "something"
