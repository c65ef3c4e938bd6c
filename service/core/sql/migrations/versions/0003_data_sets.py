"""Data sets that clients send, and what a job is warned of."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    serial = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    op.create_table(
        "datasets",
        sa.Column("seq", serial, primary_key=True, autoincrement=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("format", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("upload", sa.JSON, nullable=False),
        sa.Column("contents", sa.JSON),
        sa.Column("packed", sa.JSON, nullable=False),
        sa.Column("error", sa.JSON),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("worker", sa.Text),
        sa.Column("lease_until", sa.Float(53)),
        sa.Column("created_at", sa.Float(53), nullable=False),
    )
    op.create_index("datasets_of_tenant", "datasets", ["tenant", "seq"])
    op.create_index("datasets_by_status", "datasets", ["status", "seq"])
    op.add_column("jobs", sa.Column("dataset", sa.Text, nullable=False, server_default="digits"))
    op.add_column("jobs", sa.Column("warnings", sa.JSON, nullable=False, server_default="[]"))
    op.create_index("jobs_of_dataset", "jobs", ["dataset", "status"])


def downgrade() -> None:
    op.drop_index("jobs_of_dataset", "jobs")
    op.drop_column("jobs", "warnings")
    op.drop_column("jobs", "dataset")
    op.drop_table("datasets")
