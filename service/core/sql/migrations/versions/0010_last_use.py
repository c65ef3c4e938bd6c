"""When a data set was read, or last used by jobs that are deleted since."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.add_column("datasets", sa.Column("used_at", sa.Float(53)))


def downgrade() -> None:
    op.drop_column("datasets", "used_at")
