"""Jobs that a claim passes over cost a look into the index alone."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

ORDER = ("status", sa.text("priority DESC"), "turn", "seq")


def upgrade() -> None:
    op.drop_index("jobs_in_order", "jobs")
    op.create_index("jobs_in_order", "jobs", [*ORDER, "not_before", "device", "gpus", "memory_bytes", "tenant", "id"])


def downgrade() -> None:
    op.drop_index("jobs_in_order", "jobs")
    op.create_index("jobs_in_order", "jobs", list(ORDER))
