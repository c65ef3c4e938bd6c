"""What each ended fit has shown: what cures did, and what was kept."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    op.create_table(
        "fit_lessons",
        sa.Column("fit_id", sa.Text, sa.ForeignKey("fits.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("at", sa.Float(53), nullable=False),
        sa.Column("data", sa.JSON, nullable=False),
    )
    op.create_index("lessons_of_tenant", "fit_lessons", ["tenant", "at"])


def downgrade() -> None:
    op.drop_table("fit_lessons")
