"""Webhook messages about fits: a message is about a job or about a fit."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    of_fit = sa.ForeignKey("fits.id", name="deliveries_fit_id_fkey", ondelete="CASCADE")
    with op.batch_alter_table("deliveries") as table:  # SQLite copies the rows into a new table
        table.alter_column("job_id", existing_type=sa.Text, nullable=True)
        table.add_column(sa.Column("fit_id", sa.Text, of_fit))
    op.create_index("deliveries_of_fit", "deliveries", ["fit_id", "created_at"])


def downgrade() -> None:
    op.execute("DELETE FROM deliveries WHERE job_id IS NULL")
    op.drop_index("deliveries_of_fit", "deliveries")
    with op.batch_alter_table("deliveries") as table:
        table.drop_column("fit_id")
        table.alter_column("job_id", existing_type=sa.Text, nullable=False)
