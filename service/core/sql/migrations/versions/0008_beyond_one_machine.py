"""What a job needs and what a worker has; the trace that a job belongs to."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def _of_jobs() -> tuple[sa.Column[Any], ...]:
    return (
        sa.Column("device", sa.Text, nullable=False, server_default="auto"),
        sa.Column("gpus", sa.Integer, nullable=False, server_default="1"),
        sa.Column("memory_bytes", sa.BigInteger),
        sa.Column("traceparent", sa.Text),
    )


def _of_workers() -> tuple[sa.Column[Any], ...]:
    return (
        sa.Column("gpus", sa.Integer, nullable=False, server_default="0"),
        sa.Column("gpu_memory_bytes", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("threads", sa.Integer, nullable=False, server_default="1"),
        sa.Column("memory_bytes", sa.BigInteger),
        sa.Column("version", sa.Text),
    )


def upgrade() -> None:
    for column in _of_jobs():
        op.add_column("jobs", column)
    for column in _of_workers():
        op.add_column("workers", column)
    op.create_index("workers_seen", "workers", ["seen_at"])


def downgrade() -> None:
    op.drop_index("workers_seen", "workers")
    for column in _of_workers():
        op.drop_column("workers", column.name)
    for column in _of_jobs():
        op.drop_column("jobs", column.name)
