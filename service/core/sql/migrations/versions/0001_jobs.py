"""Jobs with their labels, epochs, events and artifacts, and the workers that are alive."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

SERIAL = sa.BigInteger().with_variant(sa.Integer, "sqlite")
TIME = sa.Float(53)


def of_job() -> sa.Column[str]:
    return sa.Column("job_id", sa.Text, sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)


def upgrade() -> None:
    op.create_table(
        "jobs",
        sa.Column("seq", SERIAL, primary_key=True, autoincrement=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("spec", sa.JSON, nullable=False),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("phase", sa.Text),
        sa.Column("stop_reason", sa.Text),
        sa.Column("error", sa.JSON),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("worker", sa.Text),
        sa.Column("lease_until", TIME),
        sa.Column("hinted_at", TIME),
        sa.Column("cancel_requested", sa.Boolean, nullable=False),
        sa.Column("last_epoch", sa.Integer),
        sa.Column("best_epoch", sa.Integer),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("started_at", TIME),
        sa.Column("finished_at", TIME),
    )
    op.create_index("jobs_in_order", "jobs", ["status", "priority", "seq"])
    op.create_index("jobs_of_tenant", "jobs", ["tenant", "seq"])
    op.create_table(
        "job_labels",
        of_job(),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
    op.create_index("labels_by_value", "job_labels", ["key", "value"])
    op.create_table(
        "epochs",
        of_job(),
        sa.Column("epoch", sa.Integer, primary_key=True),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("train_loss", TIME),
        sa.Column("train_loss_clean", TIME),
        sa.Column("val_loss", TIME),
        sa.Column("train_accuracy", TIME),
        sa.Column("val_accuracy", TIME),
        sa.Column("penalty", TIME),
        sa.Column("lr", TIME, nullable=False),
        sa.Column("seconds", TIME, nullable=False),
        sa.Column("images_per_second", TIME, nullable=False),
        sa.Column("improved", sa.Boolean, nullable=False),
        sa.Column("epochs_without_improvement", sa.Integer, nullable=False),
        sa.Column("flag", sa.Text),
    )
    op.create_table(
        "events",
        of_job(),
        sa.Column("seq", sa.Integer, primary_key=True),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("data", sa.JSON, nullable=False),
        sa.Column("at", TIME, nullable=False),
    )
    op.create_index("events_by_type", "events", ["job_id", "type", "seq"])
    op.create_table(
        "artifacts",
        of_job(),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("media_type", sa.Text, nullable=False),
    )
    op.create_table(
        "workers",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("seen_at", TIME, nullable=False),
    )


def downgrade() -> None:
    for table in ("workers", "artifacts", "events", "epochs", "job_labels", "jobs"):
        op.drop_table(table)
