"""Cross-validations, and the one that a job belongs to."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    op.add_column("jobs", sa.Column("folds", sa.Text))
    op.create_index("jobs_of_folds", "jobs", ["folds", "seq"])
    op.create_table(
        "folds",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("spec", sa.JSON, nullable=False),
        sa.Column("folds", sa.Integer, nullable=False),
        sa.Column("seeds", sa.JSON, nullable=False),
        sa.Column("created_at", sa.Float(53), nullable=False),
    )
    op.create_index("folds_of_tenant", "folds", ["tenant", "seq"])


def downgrade() -> None:
    op.drop_table("folds")
    op.drop_index("jobs_of_folds", "jobs")
    op.drop_column("jobs", "folds")
