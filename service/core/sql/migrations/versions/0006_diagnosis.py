"""What a verdict rests on, where a job comes from, and ablations."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

MEASURES = ("val_loss_se", "val_change_se", "joules")
TEXTS = ("split", "test_split", "parent", "advice", "ablation", "arm")
DATA = ("facts", "waste", "patch")
INDEXES = {
    "jobs_of_split": ["tenant", "split", "seq"],
    "jobs_of_test_split": ["tenant", "test_split", "seq"],
    "jobs_of_parent": ["parent"],
    "jobs_of_ablation": ["ablation", "seq"],
}


def upgrade() -> None:
    for name in MEASURES:
        op.add_column("epochs", sa.Column(name, sa.Float(53)))
    for name in TEXTS:
        op.add_column("jobs", sa.Column(name, sa.Text))
    for name in DATA:
        op.add_column("jobs", sa.Column(name, sa.JSON(none_as_null=True)))
    for name, columns in INDEXES.items():
        op.create_index(name, "jobs", columns)
    op.create_table(
        "ablations",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("spec", sa.JSON, nullable=False),
        sa.Column("arms", sa.JSON, nullable=False),
        sa.Column("seeds", sa.JSON, nullable=False),
        sa.Column("created_at", sa.Float(53), nullable=False),
    )
    op.create_index("ablations_of_tenant", "ablations", ["tenant", "seq"])


def downgrade() -> None:
    op.drop_table("ablations")
    for name in INDEXES:
        op.drop_index(name, "jobs")
    for name in (*TEXTS, *DATA):
        op.drop_column("jobs", name)
    for name in MEASURES:
        op.drop_column("epochs", name)
