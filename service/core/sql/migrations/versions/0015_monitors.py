"""Measures of an epoch that weigh every class alike, the calibrated loss, and the noise of the monitored measure."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"

MEASURES = ("val_macro_f1", "val_balanced_accuracy", "val_worst_recall", "val_loss_calibrated", "monitored_se")


def upgrade() -> None:
    for name in MEASURES:
        op.add_column("epochs", sa.Column(name, sa.Float(53)))


def downgrade() -> None:
    for name in MEASURES:
        op.drop_column("epochs", name)
