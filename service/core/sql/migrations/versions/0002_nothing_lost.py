"""Fair turns, back-off, checkpoints, losses, pauses and idempotency keys."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    # One by one: a table that is made anew would take the rows that refer to it along.
    op.add_column("jobs", sa.Column("turn", sa.Integer, nullable=False, server_default="0"))
    op.add_column("jobs", sa.Column("not_before", sa.Float(53)))
    op.add_column("jobs", sa.Column("pause_requested", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("jobs", sa.Column("checkpoints", sa.JSON, nullable=False, server_default="[]"))
    op.add_column("jobs", sa.Column("losses", sa.JSON, nullable=False, server_default="[]"))
    op.add_column("jobs", sa.Column("releases", sa.Integer, nullable=False, server_default="0"))
    op.drop_index("jobs_in_order", "jobs")
    op.create_index("jobs_in_order", "jobs", ["status", sa.text("priority DESC"), "turn", "seq"])
    op.create_index("jobs_of_tenant_by_status", "jobs", ["tenant", "status", "seq"])
    op.create_index("jobs_by_lease", "jobs", ["status", "lease_until"])
    op.create_index("turns_of_tenant", "jobs", ["status", "priority", "tenant", "turn"])
    op.create_table(
        "idempotency",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("job_id", sa.Text, sa.ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
    )
    op.create_index("idempotency_by_job", "idempotency", ["job_id"])


def downgrade() -> None:
    op.drop_table("idempotency")
    for index in ("turns_of_tenant", "jobs_by_lease", "jobs_of_tenant_by_status", "jobs_in_order"):
        op.drop_index(index, "jobs")
    for column in ("releases", "losses", "checkpoints", "pause_requested", "not_before", "turn"):
        op.drop_column("jobs", column)
    op.create_index("jobs_in_order", "jobs", ["status", "priority", "seq"])
