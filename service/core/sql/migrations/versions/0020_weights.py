"""Uploaded weights, and the weights that a job starts from."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    op.add_column("jobs", sa.Column("weights", sa.Text))
    op.create_index("jobs_of_weights", "jobs", ["weights", "status"])
    op.create_table(
        "weights",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("arch", sa.Text, nullable=False),
        sa.Column("classes", sa.Integer),
        sa.Column("channels", sa.Integer, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("stored", sa.JSON, nullable=False),
        sa.Column("created_at", sa.Float(53), nullable=False),
        sa.Column("used_at", sa.Float(53)),
        sa.Column("hidden_at", sa.Float(53)),
    )
    op.create_index("weights_of_tenant", "weights", ["tenant", "seq"])


def downgrade() -> None:
    op.drop_table("weights")
    op.drop_index("jobs_of_weights", "jobs")
    op.drop_column("jobs", "weights")
