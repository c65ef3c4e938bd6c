"""What the record says is in the storage: the files of jobs and data sets, each with its size and sum."""

from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass

from sqlalchemy import delete, select, update

from service.core.errors import ObjectMissing
from service.core.records.dataset import DatasetStatus
from service.core.records.job import Status
from service.core.sql.engine import Database
from service.core.sql.jobs.rows import checkpoints_of
from service.core.sql.tables import artifacts, datasets, jobs
from service.core.storage import Artifact, Storage
from service.core.storage.objects import digest_of

# Whose checkpoints a run may go on from; of the others they are removed, and the record of where they were may stay.
RESUMABLE = (Status.QUEUED, Status.RUNNING, Status.PAUSED, Status.FAILED)


@dataclass(frozen=True)
class Named:
    """A file that a job or a data set is said to have. Without a checkpoint, its job can still be run anew."""

    owner: str
    file: Artifact
    is_checkpoint: bool = False


def named(database: Database) -> tuple[Named, ...]:
    """Every file that the record names, checkpoints first: they are the first to be replaced."""
    return (*_checkpoints(database), *_of_datasets(database), *_published(database))


def missing(database: Database, storage: Storage) -> tuple[str, ...]:
    """Reads every file that the record names; tells of each that is not there or is another, as words."""
    faults: dict[str, str] = {}
    for each in named(database):
        try:
            if digest_of(storage, each.file.key) != each.file.sha256:
                faults[each.file.key] = f"{each.owner}: {each.file.key} is damaged: its SHA-256 is another"
        except ObjectMissing as error:
            faults[each.file.key] = f"{each.owner}: {error}"
    if not faults:
        return ()
    still = {each.file.key for each in named(database)}  # what was deleted meanwhile is not missed
    return tuple(words for key, words in faults.items() if key in still)


def forget_checkpoints(database: Database, gone: frozenset[str]) -> None:
    """The record names no checkpoint any more that has one of these files."""
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
    """The jobs and data sets that are recorded."""
    with database.read() as c:
        return frozenset(id_ for table in (jobs, datasets) for id_ in c.execute(select(table.c.id)).scalars())


def forget(database: Database, gone: Collection[str]) -> None:
    """Drop the records of these jobs and data sets."""
    with database.write() as c:
        for table in (jobs, datasets):
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
    """As it was sent, until it is read; then as it is trained on."""
    with database.read() as c:
        rows = c.execute(select(datasets.c.id, datasets.c.status, datasets.c.upload, datasets.c.packed)).all()
    for dataset_id, status, upload, packed in rows:
        files = {DatasetStatus.PROCESSING: [upload], DatasetStatus.READY: packed}.get(status, [])
        for file in files:
            yield Named(dataset_id, Artifact(**file))


def _published(database: Database) -> Iterator[Named]:
    with database.read() as c:
        rows = c.execute(select(artifacts)).mappings().all()
    for row in rows:
        yield Named(row["job_id"], Artifact(row["name"], row["key"], row["bytes"], row["sha256"], row["media_type"]))
