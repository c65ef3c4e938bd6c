"""Facts that release 0.1.0 does not know, in a column of their own: its API reads the first one beside new workers."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    op.add_column("jobs", sa.Column("more_facts", sa.JSON))


def downgrade() -> None:
    op.drop_column("jobs", "more_facts")
