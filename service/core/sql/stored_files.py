"""The files of jobs, data sets and weights that the record names, each with its size and SHA-256."""

from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass

from sqlalchemy import delete, select, update

from service.core.errors import ObjectMissing
from service.core.records.dataset import DatasetStatus
from service.core.records.job import Status
from service.core.sql.engine import Database
from service.core.sql.jobs.rows import checkpoints_of
from service.core.sql.tables import artifacts, datasets, jobs, weights
from service.core.storage import Artifact, Storage
from service.core.storage.objects import digest_of

# Only these jobs can continue from a checkpoint. The checkpoints of others are deleted, but may still be recorded.
RESUMABLE = (Status.QUEUED, Status.RUNNING, Status.PAUSED, Status.FAILED)
OWNERS = (jobs, datasets, weights)  # the tables whose rows have files


@dataclass(frozen=True)
class Named:
    """A file that the record names. A job that has lost its checkpoint can still be run anew."""

    owner: str
    file: Artifact
    is_checkpoint: bool = False


def named(database: Database) -> tuple[Named, ...]:
    """Every file that the record names; checkpoints come first, as they are replaced soonest."""
    return (*_checkpoints(database), *_of_datasets(database), *_of_weights(database), *_published(database))


def missing(database: Database, storage: Storage) -> tuple[str, ...]:
    """Read every file that the record names; returns a sentence for each that is missing or damaged."""
    faults: dict[str, str] = {}
    for each in named(database):
        try:
            if digest_of(storage, each.file.key) != each.file.sha256:
                faults[each.file.key] = f"{each.owner}: {each.file.key} is damaged: its SHA-256 is another"
        except ObjectMissing as error:
            faults[each.file.key] = f"{each.owner}: {error}"
    if not faults:
        return ()
    still = {each.file.key for each in named(database)}  # without files that were deleted meanwhile
    return tuple(words for key, words in faults.items() if key in still)


def forget_checkpoints(database: Database, gone: frozenset[str]) -> None:
    """Delete the record of every checkpoint that has one of these files."""
    with database.write() as c:
        rows = c.execute(select(jobs.c.id, jobs.c.checkpoints).where(jobs.c.status.in_(RESUMABLE))).mappings().all()
        for row in rows:
            kept = [
                asdict(each)
                for each in checkpoints_of(row)
                if not {each.last.key, each.best.key if each.best else ""} & gone
            ]
            if len(kept) < len(row["checkpoints"]):
                c.execute(update(jobs).where(jobs.c.id == row["id"]).values(checkpoints=kept))


def owners(database: Database) -> frozenset[str]:
    """The ids of all recorded jobs, data sets and weights."""
    with database.read() as c:
        return frozenset(id_ for table in OWNERS for id_ in c.execute(select(table.c.id)).scalars())


def forget(database: Database, gone: Collection[str]) -> None:
    """Delete the records of these jobs, data sets and weights."""
    with database.write() as c:
        for table in OWNERS:
            c.execute(delete(table).where(table.c.id.in_(gone)))


def _checkpoints(database: Database) -> Iterator[Named]:
    with database.read() as c:
        rows = c.execute(select(jobs.c.id, jobs.c.checkpoints).where(jobs.c.status.in_(RESUMABLE))).mappings().all()
    for row in rows:
        for checkpoint in checkpoints_of(row):
            for file in (checkpoint.last, checkpoint.best):
                if file:
                    yield Named(row["id"], file, is_checkpoint=True)


def _of_datasets(database: Database) -> Iterator[Named]:
    """Of a set that is not read yet, its upload and its label file; then the files that training reads."""
    columns = (datasets.c.id, datasets.c.status, datasets.c.upload, datasets.c.labels, datasets.c.packed)
    with database.read() as c:
        rows = c.execute(select(*columns)).all()
    for dataset_id, status, upload, labels, packed in rows:
        sent = [upload, labels] if labels else [upload]
        for file in {DatasetStatus.PROCESSING: sent, DatasetStatus.READY: packed}.get(status, []):
            yield Named(dataset_id, Artifact(**file))


def _of_weights(database: Database) -> Iterator[Named]:
    with database.read() as c:
        rows = c.execute(select(weights.c.id, weights.c.stored).where(weights.c.hidden_at.is_(None))).all()
    for weights_id, stored in rows:
        yield Named(weights_id, Artifact(**stored))


def _published(database: Database) -> Iterator[Named]:
    with database.read() as c:
        rows = c.execute(select(artifacts)).mappings().all()
    for row in rows:
        yield Named(row["job_id"], Artifact(row["name"], row["key"], row["bytes"], row["sha256"], row["media_type"]))
