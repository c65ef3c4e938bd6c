"""The statements about uploaded weights, and about the weights that a job starts from."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, delete, insert, select, update

from service.core.errors import Conflict, NotFound
from service.core.records.artifact_names import BEST_MODEL, LABELS
from service.core.records.job import TERMINAL
from service.core.records.page import Page
from service.core.records.weights import NewWeights, Weights
from service.core.sql.clock import now
from service.core.sql.paging import read_page
from service.core.sql.repository import Repository
from service.core.sql.running_fits import refuse_of_running_fit
from service.core.sql.tables import artifacts, jobs, weights
from service.core.sql.usage import refuse_more_weights, weights_room
from service.core.storage import Artifact

DELETION_SECONDS = 60.0  # for a deletion by the process that began it; then a worker finishes it
FIELDS = ("id", "name", "arch", "classes", "channels", "bytes", "sha256", "created_at")


class WeightsStore(Repository):
    """The uploaded weights of all tenants."""

    def add(self, tenant: str, new: NewWeights) -> Weights:
        """Record weights that are in the storage. Raises QuotaExceeded."""
        with self._db.write() as c:
            refuse_more_weights(c, tenant, self._quotas, new.stored.bytes)
            c.execute(insert(weights).values(tenant=tenant, created_at=now(), **asdict(new)))
            return _weights(_visible(c, tenant, new.id))

    def room(self, tenant: str) -> int | None:
        """The bytes that the tenant may still upload; None: no limit. Raises QuotaExceeded if it has too many files."""
        with self._db.read() as c:
            return weights_room(c, tenant, self._quotas)

    def get(self, tenant: str, weights_id: str) -> Weights:
        """Raises NotFound."""
        with self._db.read() as c:
            return _weights(_visible(c, tenant, weights_id))

    def same_file(self, tenant: str, arch: str, sha256: str) -> Weights | None:
        """The tenant's weights of this architecture from a file with this sum, None if it was not sent before."""
        same = and_(weights.c.tenant == tenant, weights.c.arch == arch, weights.c.sha256 == sha256)
        with self._db.read() as c:
            row = c.execute(select(weights).where(same, weights.c.hidden_at.is_(None)).limit(1)).mappings().first()
        return _weights(row) if row else None

    def list(self, tenant: str, limit: int, before_seq: int | None = None) -> Page[Weights]:
        """A page of at most `limit` of the tenant's weights, newest first."""
        query = select(weights).where(weights.c.tenant == tenant, weights.c.hidden_at.is_(None))
        with self._db.read() as c:
            return read_page(c, query, weights.c.seq, limit, before_seq, _read_weights)

    def hide(self, tenant: str, weights_id: str) -> None:
        """Begin to delete the weights: no job can name them any more, so their file can be deleted. Raises NotFound,
        and Conflict while a job that starts from them has not ended. Hiding hidden weights changes nothing.
        """
        with self._db.write() as c:
            query = select(weights.c.id).where(_own(tenant, weights_id)).with_for_update()
            if c.execute(query).first() is None:
                raise NotFound(f"there are no weights {weights_id!r}")
            refuse_used(c, weights_id)
            c.execute(update(weights).where(_own(tenant, weights_id)).values(hidden()))

    def forget(self, tenant: str, weights_id: str) -> None:
        """Delete the record of hidden weights."""
        with self._db.write() as c:
            c.execute(delete(weights).where(_own(tenant, weights_id), weights.c.hidden_at.is_not(None)))

    def half_deleted(self) -> tuple[tuple[str, str], ...]:
        """(tenant, id) of the weights whose deletion has not finished within DELETION_SECONDS."""
        with self._db.read() as c:
            lapsed = weights.c.hidden_at < now() - DELETION_SECONDS
            return tuple((row.tenant, row.id) for row in c.execute(select(weights).where(lapsed)))


def refuse_used(c: Connection, source: str) -> None:
    """Raise Conflict while a job or a fit that has not ended starts from these weights, or from those of this job."""
    refuse_of_running_fit(c, jobs.c.weights == source, "these weights")
    live = select(jobs.c.id).where(jobs.c.weights == source, jobs.c.status.not_in(TERMINAL))
    if job_id := c.execute(live.limit(1)).scalar():
        raise Conflict(f"job {job_id} starts from these weights; cancel it first, or wait until it ends")


def refuse_without_weights(c: Connection, tenant: str, source: str | None) -> None:
    """Raise Conflict unless these weights, or those of this job, can be used; until the transaction ends they stay."""
    if source is not None and not files_of(c, tenant, source, lock=True):
        raise Conflict(f"no job can start from {source!r} any more")


def files_of(c: Connection, tenant: str, source: str, *, lock: bool = False) -> tuple[Artifact, ...]:
    """The files of uploaded weights, or of a job: its best model, and its labels if it has them. Empty if gone."""
    if source.startswith("job_"):
        of_job = select(jobs.c.id).where(jobs.c.tenant == tenant, jobs.c.id == source)
        if c.execute(of_job.with_for_update(read=True) if lock else of_job).first() is None:
            return ()
        files = (artifacts.c[name] for name in ("name", "key", "bytes", "sha256", "media_type"))
        named = and_(artifacts.c.job_id == source, artifacts.c.name.in_((BEST_MODEL, LABELS)))
        found = [Artifact(**row) for row in c.execute(select(*files).where(named)).mappings()]
        return tuple(found) if any(file.name == BEST_MODEL for file in found) else ()
    shown = and_(_own(tenant, source), weights.c.hidden_at.is_(None))
    of_upload = select(weights.c.stored).where(shown)
    stored = c.execute(of_upload.with_for_update(read=True) if lock else of_upload).scalar()
    return (Artifact(**stored),) if stored else ()


def hidden() -> dict[str, Any]:
    """The values of the row of weights whose deletion begins."""
    return {"hidden_at": now()}


def _own(tenant: str, weights_id: str) -> ColumnElement[bool]:
    return and_(weights.c.tenant == tenant, weights.c.id == weights_id)


def _visible(c: Connection, tenant: str, weights_id: str) -> RowMapping:
    query = select(weights).where(_own(tenant, weights_id), weights.c.hidden_at.is_(None))
    row = c.execute(query).mappings().one_or_none()
    if row is None:
        raise NotFound(f"there are no weights {weights_id!r}")
    return row


def _read_weights(c: Connection, rows: Sequence[RowMapping]) -> tuple[Weights, ...]:
    return tuple(map(_weights, rows))


def _weights(row: RowMapping) -> Weights:
    return Weights(stored=Artifact(**row["stored"]), **{name: row[name] for name in FIELDS})
