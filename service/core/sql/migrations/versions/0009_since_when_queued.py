"""Since when a job waits: from its arrival, or from when it was last put back."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.add_column("jobs", sa.Column("queued_at", sa.Float(53)))
    queued = sa.text("status = 'queued'")
    columns = ["status", "priority", "queued_at", "created_at"]
    op.create_index("jobs_waiting", "jobs", columns, sqlite_where=queued, postgresql_where=queued)


def downgrade() -> None:
    op.drop_index("jobs_waiting", "jobs")
    op.drop_column("jobs", "queued_at")
