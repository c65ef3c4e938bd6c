"""Fits with their steps, the trials of a fit among the jobs, and the epoch after which a job is paused."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    op.add_column("jobs", sa.Column("fit", sa.Text))
    op.add_column("jobs", sa.Column("trial", sa.Integer))
    op.add_column("jobs", sa.Column("pause_after", sa.Integer))
    op.create_index("jobs_of_fit", "jobs", ["fit", "seq"])
    op.create_table(
        "fits",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("name", sa.Text),
        sa.Column("labels", sa.JSON, nullable=False),
        sa.Column("webhook", sa.JSON),
        sa.Column("request", sa.JSON, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("phase", sa.Text, nullable=False),
        sa.Column("cancel_requested", sa.Boolean, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("lease_until", sa.Float(53)),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", sa.Float(53), nullable=False),
        sa.Column("started_at", sa.Float(53)),
        sa.Column("finished_at", sa.Float(53)),
        sa.Column("result", sa.JSON),
    )
    op.create_index("fits_of_tenant", "fits", ["tenant", "seq"])
    op.create_index("fits_by_status", "fits", ["status", "lease_until"])
    op.create_table(
        "fit_steps",
        sa.Column("fit_id", sa.Text, sa.ForeignKey("fits.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("at", sa.Float(53), nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("trial", sa.Integer),
        sa.Column("job_id", sa.Text),
        sa.Column("until_epoch", sa.Integer),
        sa.Column("data", sa.JSON, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("fit_steps")
    op.drop_table("fits")
    op.drop_index("jobs_of_fit", "jobs")
    for name in ("pause_after", "trial", "fit"):
        op.drop_column("jobs", name)
