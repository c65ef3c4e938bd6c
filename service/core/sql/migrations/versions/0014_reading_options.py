"""How an upload is to be read, and the label file that was sent beside it."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.add_column("datasets", sa.Column("options", sa.JSON))
    op.add_column("datasets", sa.Column("labels", sa.JSON))


def downgrade() -> None:
    op.drop_column("datasets", "labels")
    op.drop_column("datasets", "options")
