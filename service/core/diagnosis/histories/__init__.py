"""Loss histories in the files of other tools: from bytes to epochs. Pure functions."""

from collections.abc import Mapping

from service.core.diagnosis.histories import delimited, json_files, log_lines, mlflow, tensorboard
from service.core.diagnosis.histories.epochs import Reading, assemble
from service.core.diagnosis.histories.table import (
    MOST_BYTES,
    MOST_ROWS,
    Reader,
    Source,
    Table,
    check_size,
    check_values,
    refusal,
    without_losses,
)

__all__ = ["MOST_BYTES", "MOST_ROWS", "Reading", "check_size", "check_values", "read"]

READERS: tuple[Reader, ...] = (tensorboard.read, json_files.read, mlflow.read, delimited.read, log_lines.read)


def read(data: bytes, columns: Mapping[str, str] | None = None, run: str | None = None) -> Reading:
    """The epochs in a file, which is recognized by its content.

    `columns` maps measures (`val_loss`) to the columns that hold them, where their names are unusual; `run` chooses
    one of several runs. Raises Invalid with what is expected for a file that is no history.
    """
    if len(data) > MOST_BYTES:
        raise refusal(f"the file has more than {MOST_BYTES:,} bytes", f"at most {MOST_BYTES:,} bytes")
    if not data.strip():
        raise refusal("the history is empty")
    source = Source(data, columns)
    return assemble(_table(source), columns or {}, run)


def _table(source: Source) -> Table:
    for reader in READERS:
        if table := reader(source):
            return table
    if header := delimited.header_of(source):
        raise without_losses(header)
    raise refusal("the text has no losses")
