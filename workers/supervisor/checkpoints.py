"""The checkpoints of a job in the storage: an attempt stores its own, and starts from those of earlier attempts."""

import logging
from pathlib import Path

from service.core.errors import ObjectMissing, StorageError
from service.core.records.artifact_names import BEST_MODEL
from service.core.records.job import Checkpoint
from service.core.storage import discard
from workers.messages import CheckpointSaved
from workers.supervisor.attempt import Attempt

log = logging.getLogger(__name__)


def fetch_checkpoint(attempt: Attempt) -> None:
    """Fetch the newest checkpoint that is intact, and delete the records of what was trained after it."""
    fetched: Checkpoint | None = None
    for checkpoint in attempt.lease.checkpoints:
        try:
            attempt.storage.get(checkpoint.last, attempt.scratch.last)
        except ObjectMissing as error:
            log.warning("%s: %s", attempt, error)
        else:
            fetched = checkpoint
            break
    attempt.write(attempt.store.rewind, fetched)


def store_checkpoint(attempt: Attempt, saved: CheckpointSaved) -> None:
    """Copy a checkpoint from the scratch folder to the storage, where any worker can fetch it.

    One that cannot be stored is skipped, since others follow. Raises LeaseLost.
    """
    attempt.keeper.check()
    last, best = attempt.scratch.saved(saved.number)
    prefix = f"{attempt.checkpoints_prefix}/{saved.number}"
    try:
        with attempt.observer.checkpoint():
            checkpoint = Checkpoint(
                last=attempt.storage.put(f"{prefix}/last.pt", last),
                best=attempt.storage.put(f"{prefix}/{BEST_MODEL}", best) if saved.best_epoch else None,
                epochs=saved.epochs,
                best_epoch=saved.best_epoch,
            )
    except StorageError as error:
        log.warning("%s: cannot store a checkpoint: %s", attempt, error)
        return
    attempt.observer.stored(checkpoint.last.bytes + (checkpoint.best.bytes if checkpoint.best else 0))
    for replaced in attempt.write(attempt.store.record_checkpoint, checkpoint):
        discard(attempt.storage, str(Path(replaced.last.key).parent))
