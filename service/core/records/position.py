"""Where a running job is within an epoch. It is sent to those who watch, and never stored."""

from typing import NamedTuple


class Position(NamedTuple):
    """`batch` of the `batches` of `epoch` (from 1) are trained; after the last one, the model is validated."""

    epoch: int
    batch: int
    batches: int
