"""The mean norm of an epoch's gradients."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.add_column("epochs", sa.Column("gradient_norm", sa.Float(53)))


def downgrade() -> None:
    op.drop_column("epochs", "gradient_norm")
