"""The threads that a job gains from, and the number of jobs that a worker trains side by side."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    op.add_column("jobs", sa.Column("threads", sa.Integer))
    op.add_column("workers", sa.Column("slots", sa.Integer, nullable=False, server_default="1"))


def downgrade() -> None:
    op.drop_column("workers", "slots")
    op.drop_column("jobs", "threads")
