"""The tables. The migrations create them; these definitions are what the statements are written against."""

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    and_,
    text,
)

from service.core.records.epoch import MEASURES

metadata = MetaData()
Serial = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers only INTEGER columns

jobs = Table(
    "jobs",
    metadata,
    Column("seq", Serial, primary_key=True, autoincrement=True),  # order of submission
    Column("id", Text, nullable=False, unique=True),
    Column("tenant", Text, nullable=False),
    Column("spec", JSON, nullable=False),
    Column("dataset", Text, nullable=False),  # the id in the spec
    Column("warnings", JSON(none_as_null=True), nullable=False),
    Column("priority", Integer, nullable=False),
    Column("device", Text, nullable=False, server_default="auto"),  # of the spec, as are the GPUs
    Column("gpus", Integer, nullable=False, server_default="1"),
    Column("memory_bytes", BigInteger),  # of each process, estimated by the plan; NULL: unknown
    Column("threads", Integer),  # that each process gains from, by the plan; NULL: as many as there are
    Column("traceparent", Text),  # of the request that submitted the job (W3C Trace Context)
    Column("status", Text, nullable=False),
    Column("phase", Text),
    Column("stop_reason", Text),
    Column("error", JSON(none_as_null=True)),
    Column("attempt", Integer, nullable=False),  # the fencing token
    Column("version", Integer, nullable=False),  # the number of the job's last event
    Column("worker", Text),
    Column("lease_until", Float(53)),
    Column("hinted_at", Float(53)),
    Column("queued_at", Float(53)),  # start of the current or last wait; NULL: written by an older release
    Column("turn", Integer, nullable=False),  # fair share: each queued job of a tenant and priority has its own turn
    Column("not_before", Float(53)),  # earliest time of the next claim, after a lost attempt
    Column("cancel_requested", Boolean, nullable=False),
    Column("pause_requested", Boolean, nullable=False),
    Column("checkpoints", JSON(none_as_null=True), nullable=False),  # newest first
    Column("losses", JSON(none_as_null=True), nullable=False),
    Column("releases", Integer, nullable=False),  # returns to the queue that are not losses
    Column("facts", JSON(none_as_null=True)),  # what the worker measured outside of the epochs
    Column("more_facts", JSON(none_as_null=True)),  # the members that release 0.1.0 does not know
    Column("waste", JSON(none_as_null=True)),  # spent after the best epoch; set at the end of the job
    Column("split", Text),  # jobs with equal values are validated on the same images
    Column("test_split", Text),  # jobs with equal values are tested on the same images
    Column("parent", Text),  # the job that this one was forked from; may be deleted
    Column("patch", JSON(none_as_null=True)),  # changes to the parent's spec
    Column("advice", Text),  # id of the advice that made the patch
    Column("ablation", Text),
    Column("arm", Text),  # of the ablation
    Column("folds", Text),  # the cross-validation
    Column("fit", Text),
    Column("trial", Integer),  # its number in the fit, from 1
    Column("pause_after", Integer),  # the epoch after which the job is paused; NULL: none
    Column("weights", Text),  # the uploaded weights or the job whose weights it starts from
    Column("last_epoch", Integer),
    Column("best_epoch", Integer),
    Column("created_at", Float(53), nullable=False),
    Column("started_at", Float(53)),
    Column("finished_at", Float(53)),
    Index("jobs_of_tenant", "tenant", "seq"),
    Index("jobs_of_tenant_by_status", "tenant", "status", "seq"),
    Index("jobs_by_lease", "status", "lease_until"),
    Index("turns_of_tenant", "status", "priority", "tenant", "turn"),
    Index("jobs_of_dataset", "dataset", "status"),
    Index("jobs_of_split", "tenant", "split", "seq"),
    Index("jobs_of_test_split", "tenant", "test_split", "seq"),
    Index("jobs_of_parent", "parent"),
    Index("jobs_of_ablation", "ablation", "seq"),
    Index("jobs_of_folds", "folds", "seq"),
    Index("jobs_of_fit", "fit", "seq"),
    Index("jobs_of_weights", "weights", "status"),
)
# Literal text: a planner uses the partial index only for a query with the same condition.
IS_QUEUED = text("status = 'queued'")
_WAITING = (jobs.c.status, jobs.c.priority, jobs.c.queued_at, jobs.c.created_at)
Index("jobs_waiting", *_WAITING, sqlite_where=IS_QUEUED, postgresql_where=IS_QUEUED)
# Holds every column that a claim reads, so a job that is passed over costs one index entry and no row.
_ORDER = (jobs.c.status, jobs.c.priority.desc(), jobs.c.turn, jobs.c.seq)
_REQUIREMENTS = (jobs.c.not_before, jobs.c.device, jobs.c.gpus, jobs.c.memory_bytes, jobs.c.tenant, jobs.c.id)
Index("jobs_in_order", *_ORDER, *_REQUIREMENTS)

idempotency = Table(
    "idempotency",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("digest", Text, nullable=False),  # SHA-256 of the request
    Column("job_id", Text, ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
    Index("idempotency_by_job", "job_id"),
)


def _of_job() -> Column[Any]:
    return Column("job_id", Text, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)


labels = Table(
    "job_labels",
    metadata,
    _of_job(),
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
    Index("labels_by_value", "key", "value"),
)

_TYPE_OF_MEASURE: dict[type, Any] = {int: Integer, float: Float(53), bool: Boolean, str: Text}

epochs = Table(
    "epochs",
    metadata,
    _of_job(),
    Column("epoch", Integer, primary_key=True),
    Column("attempt", Integer, nullable=False),
    *(
        Column(measure.name, _TYPE_OF_MEASURE[measure.type], nullable=measure.is_nullable)
        for measure in MEASURES
        if measure.name != "epoch"
    ),
)
# Each job beside its best epoch.
WITH_BEST = jobs.outerjoin(epochs, and_(epochs.c.job_id == jobs.c.id, epochs.c.epoch == jobs.c.best_epoch))

events = Table(
    "events",
    metadata,
    _of_job(),
    Column("seq", Integer, primary_key=True),  # the job's version after the change
    Column("type", Text, nullable=False),
    Column("data", JSON, nullable=False),
    Column("at", Float(53), nullable=False),
    Index("events_by_type", "job_id", "type", "seq"),
)

log_lines = Table(
    "log_lines",
    metadata,
    _of_job(),
    Column("id", Integer, primary_key=True),
    Column("attempt", Integer, nullable=False),
    Column("at", Float(53), nullable=False),
    Column("level", Text, nullable=False),
    Column("message", Text, nullable=False),
)

artifacts = Table(
    "artifacts",
    metadata,
    _of_job(),
    Column("name", Text, primary_key=True),
    Column("attempt", Integer, nullable=False),
    Column("key", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("media_type", Text, nullable=False),
)

datasets = Table(
    "datasets",
    metadata,
    Column("seq", Serial, primary_key=True, autoincrement=True),
    Column("id", Text, nullable=False, unique=True),
    Column("tenant", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("format", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("upload", JSON(none_as_null=True), nullable=False),  # the artifact that was uploaded
    Column("contents", JSON(none_as_null=True)),
    Column("packed", JSON(none_as_null=True), nullable=False),  # the artifacts that training reads
    Column("options", JSON(none_as_null=True)),  # how to read it; null: uploaded by release 0.1
    Column("labels", JSON(none_as_null=True)),  # the artifact of the label file sent beside the upload
    Column("error", JSON(none_as_null=True)),
    Column("attempt", Integer, nullable=False),  # the fencing token
    Column("worker", Text),
    Column("lease_until", Float(53)),
    Column("created_at", Float(53), nullable=False),
    Column("used_at", Float(53)),  # when it was read, or when the last deleted job on it ended
    Index("datasets_of_tenant", "tenant", "seq"),
    Index("datasets_by_status", "status", "seq"),
)

weights = Table(
    "weights",
    metadata,
    Column("seq", Serial, primary_key=True, autoincrement=True),
    Column("id", Text, nullable=False, unique=True),
    Column("tenant", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("arch", Text, nullable=False),
    Column("classes", Integer),  # NULL: without a last layer
    Column("channels", Integer, nullable=False),
    Column("bytes", BigInteger, nullable=False),  # of the file that was sent, as is the sum
    Column("sha256", Text, nullable=False),
    Column("stored", JSON(none_as_null=True), nullable=False),  # the artifact that training reads
    Column("created_at", Float(53), nullable=False),
    Column("used_at", Float(53)),  # when the last deleted job that started from it ended
    Column("hidden_at", Float(53)),  # when their deletion began
    Index("weights_of_tenant", "tenant", "seq"),
)

ablations = Table(
    "ablations",
    metadata,
    Column("seq", Serial, primary_key=True, autoincrement=True),
    Column("id", Text, nullable=False, unique=True),
    Column("tenant", Text, nullable=False),
    Column("spec", JSON, nullable=False),  # of the base arm
    Column("arms", JSON, nullable=False),  # name and patch of each
    Column("seeds", JSON, nullable=False),
    Column("created_at", Float(53), nullable=False),
    Index("ablations_of_tenant", "tenant", "seq"),
)

folds = Table(
    "folds",
    metadata,
    Column("seq", Serial, primary_key=True, autoincrement=True),
    Column("id", Text, nullable=False, unique=True),
    Column("tenant", Text, nullable=False),
    Column("spec", JSON, nullable=False),  # without the fold of a job
    Column("folds", Integer, nullable=False),  # the number of them
    Column("seeds", JSON, nullable=False),
    Column("created_at", Float(53), nullable=False),
    Index("folds_of_tenant", "tenant", "seq"),
)

fits = Table(
    "fits",
    metadata,
    Column("seq", Serial, primary_key=True, autoincrement=True),
    Column("id", Text, nullable=False, unique=True),
    Column("tenant", Text, nullable=False),
    Column("name", Text),
    Column("labels", JSON, nullable=False),
    Column("webhook", JSON(none_as_null=True)),
    Column("request", JSON, nullable=False),  # the base spec, the budget, the space, the objective, the seeds
    Column("status", Text, nullable=False),
    Column("phase", Text, nullable=False),
    Column("cancel_requested", Boolean, nullable=False),
    Column("attempt", Integer, nullable=False),  # the fencing token of the conductor
    Column("lease_until", Float(53)),
    Column("version", Integer, nullable=False),
    Column("created_at", Float(53), nullable=False),
    Column("started_at", Float(53)),
    Column("finished_at", Float(53)),
    Column("result", JSON(none_as_null=True)),
    Index("fits_of_tenant", "tenant", "seq"),
    Index("fits_by_status", "status", "lease_until"),
)

fit_steps = Table(
    "fit_steps",
    metadata,
    Column("fit_id", Text, ForeignKey("fits.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),  # from 1
    Column("at", Float(53), nullable=False),
    Column("kind", Text, nullable=False),
    Column("trial", Integer),
    Column("job_id", Text),  # may be deleted
    Column("until_epoch", Integer),
    Column("data", JSON, nullable=False),
)

fit_lessons = Table(
    "fit_lessons",
    metadata,
    Column("fit_id", Text, ForeignKey("fits.id", ondelete="CASCADE"), primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("at", Float(53), nullable=False),  # the end of the fit
    Column("data", JSON, nullable=False),
    Index("lessons_of_tenant", "tenant", "at"),
)

webhook_secrets = Table(
    "webhook_secrets",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("secret", Text, nullable=False),
    Column("former", Text),
    Column("changed_at", Float(53), nullable=False),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("job_id", Text, ForeignKey("jobs.id", ondelete="CASCADE")),  # a message is about either a job or a fit
    Column("fit_id", Text, ForeignKey("fits.id", ondelete="CASCADE")),
    Column("url", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("body", Text, nullable=False),  # exactly as signed
    Column("status", Text, nullable=False),  # pending, delivered, given_up
    Column("attempts", Integer, nullable=False),
    Column("error", Text),
    Column("created_at", Float(53), nullable=False),
    Column("due_at", Float(53), nullable=False),
    Column("delivered_at", Float(53)),
    Index("deliveries_due", "status", "due_at"),
    Index("deliveries_of_job", "job_id", "created_at"),
    Index("deliveries_of_fit", "fit_id", "created_at"),
)

keys = Table(
    "keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("digest", Text, nullable=False),  # SHA-256 of the whole key
    Column("scopes", JSON(none_as_null=True), nullable=False),
    Column("created_at", Float(53), nullable=False),
    Column("expires_at", Float(53)),
    Column("revoked_at", Float(53)),
    Column("used_at", Float(53)),
    Index("keys_of_tenant", "tenant"),
)

workers = Table(
    "workers",
    metadata,
    Column("id", Text, primary_key=True),
    Column("seen_at", Float(53), nullable=False),
    Column("gpus", Integer, nullable=False, server_default="0"),
    Column("gpu_memory_bytes", BigInteger, nullable=False, server_default="0"),  # of the smallest GPU
    Column("threads", Integer, nullable=False, server_default="1"),
    Column("memory_bytes", BigInteger),  # of the machine or container; NULL: unknown, an older worker
    Column("version", Text),
    Column("slots", Integer, nullable=False, server_default="1"),  # jobs that it trains side by side at most
    Index("workers_seen", "seen_at"),
)

installation = Table(
    "installation",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),  # always 1: there is one row
    Column("id", Text, nullable=False),
)
