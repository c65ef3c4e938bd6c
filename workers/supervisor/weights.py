"""The weights that a job starts from, fetched for its trainer."""

from pathlib import Path

from workers.supervisor.attempt import Attempt


def fetch_weights(attempt: Attempt) -> Path | None:
    """Fetch the files of the weights that the spec names; returns their folder, None where it names none.

    Raises StorageError.
    """
    files = attempt.store.weights_files(attempt.lease)
    if not files:
        return None
    folder = attempt.scratch.weights
    folder.mkdir()
    for file in files:
        attempt.storage.get(file, folder / file.name)
    return folder
