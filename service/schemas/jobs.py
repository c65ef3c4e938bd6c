"""Jobs, their lists and their epochs as JSON."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from marshmallow import Schema, ValidationError, fields, post_load, validate

from service.core.records.epoch import MEASURES, Measure
from service.core.records.job import Job, Status
from service.core.spec.job import MOST_GPUS
from service.schemas.fields import Text
from service.schemas.pages import PageQuerySchema

MAX_WAIT_SECONDS = 60.0
LEAST_POINTS, MOST_POINTS = 100, 10_000  # of a curve that is drawn
LINKS = (
    "history", "diagnosis", "counterfactual", "lineage", "events", "logs", "artifacts", "predict", "cancel", "pause",
    "resume", "retry", "fork",
)  # fmt: skip
SUBMITTED = {
    "Location": {"description": "the job", "schema": {"type": "string"}},
    "Idempotency-Replayed": {
        "description": "true where the job is of an earlier request",
        "schema": {"type": "string"},
    },
}


class Timestamp(fields.Field[float]):
    """Unix seconds, told as RFC 3339 in UTC with milliseconds."""

    def _serialize(self, value: float | None, *args: Any, **kwargs: Any) -> str | None:
        return None if value is None else told_time(value)


def told_time(seconds: float) -> str:
    """RFC 3339 in UTC with milliseconds."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Word(fields.String):
    """A member of an enumeration, told by its value."""


FIELD_OF_TYPE: Mapping[type, type[fields.Field[Any]]] = {
    int: fields.Integer,
    float: fields.Float,
    bool: fields.Boolean,
    str: fields.String,
}


def _measure_field(measure: Measure) -> fields.Field[Any]:
    return FIELD_OF_TYPE[measure.type](allow_none=measure.is_nullable, metadata={"description": measure.meaning})


EpochSchema = Schema.from_dict({measure.name: _measure_field(measure) for measure in MEASURES}, name="EpochSchema")


class ErrorSchema(Schema):
    """Why a job failed."""

    origin = fields.String(metadata={"description": "user, data or infrastructure"})
    code = fields.String()
    detail = fields.String()


class LossSchema(Schema):
    """An attempt that was lost; the next one went on from the last checkpoint."""

    attempt = fields.Integer()
    worker = fields.String()
    cause = fields.String()


class TransitionSchema(Schema):
    status = Word()
    at = Timestamp()


class QueueSchema(Schema):
    jobs_ahead = fields.Integer(
        allow_none=True,
        metadata={"description": "queued jobs that will be taken first, counted up to 1000; null once taken"},
    )
    shortfall = fields.String(
        allow_none=True,
        metadata={
            "description": "why no live worker can hold the queued job, which waits until one can; null otherwise"
        },
    )


class ProgressSchema(Schema):
    epoch = fields.Integer()
    epochs = fields.Integer()
    fraction = fields.Float()
    eta_seconds = fields.Float(
        allow_none=True, metadata={"description": "to the last epoch, unless early stopping comes first"}
    )
    images_per_second = fields.Float(allow_none=True)


class WasteSchema(Schema):
    """What was spent after the best epoch: early stopping needs some of it."""

    epochs = fields.Integer()
    seconds = fields.Float()
    images = fields.Integer(metadata={"description": "training images"})
    share = fields.Float(metadata={"description": "of the seconds in all epochs"})
    joules = fields.Float(allow_none=True, metadata={"description": "null where no GPU measures them"})


class FactsSchema(Schema):
    """What the worker found out about the data."""

    images = fields.Dict(
        keys=fields.String(), values=fields.Integer(), metadata={"description": "by part of the split"}
    )
    trivial_loss = fields.Float(metadata={"description": "what guessing by the labels' frequencies scores, in nats"})
    trivial_accuracy = fields.Float()
    copies_across = fields.Integer(
        metadata={"description": "validation images that have a copy among the training images"}
    )


class JobSchema(Schema):
    """A job as it stands."""

    id = fields.String()
    status = Word(metadata={"description": ", ".join(Status)})
    phase = Word(allow_none=True, metadata={"description": "while running: preparing, training or finalizing"})
    stop_reason = Word(allow_none=True)
    is_terminal = fields.Boolean()
    spec = fields.Method("_spec", metadata={"description": "the effective spec, every default filled"})
    created_at = Timestamp()
    started_at = Timestamp(allow_none=True)
    finished_at = Timestamp(allow_none=True)
    queue = fields.Function(lambda job: {"jobs_ahead": job.jobs_ahead, "shortfall": job.shortfall})
    progress = fields.Nested(ProgressSchema)
    best = fields.Nested(EpochSchema, allow_none=True)
    last = fields.Nested(EpochSchema, allow_none=True)
    attempt = fields.Integer()
    cancel_requested = fields.Boolean()
    pause_requested = fields.Boolean()
    losses = fields.List(
        fields.Nested(LossSchema),
        attribute="lost_attempts",
        metadata={"description": "attempts that came to nothing through no fault of the job's"},
    )
    releases = fields.Integer(metadata={"description": "how often a worker that was told to stop has put it back"})
    warnings = fields.List(
        fields.String(), metadata={"description": "what may disappoint, told when the job was submitted"}
    )
    error = fields.Nested(ErrorSchema, allow_none=True)
    transitions = fields.List(fields.Nested(TransitionSchema))
    facts = fields.Nested(FactsSchema, allow_none=True)
    waste = fields.Nested(WasteSchema, allow_none=True, metadata={"description": "once the job has ended"})
    parent = fields.String(allow_none=True, metadata={"description": "the job that this one was forked from"})
    ablation = fields.String(allow_none=True)
    arm = fields.String(allow_none=True, metadata={"description": "of the ablation"})
    labels = fields.Function(lambda job: dict(job.spec.labels))
    links = fields.Function(lambda job: links(job.id))

    def _spec(self, job: Job) -> Mapping[str, Any]:
        return job.spec.to_dict()


class JobListSchema(Schema):
    """A page of jobs, newest first."""

    data = fields.List(fields.Nested(JobSchema))
    has_more = fields.Boolean()
    next_cursor = fields.String(allow_none=True, metadata={"description": "pass it as `after` for the next page"})


class LayerSchema(Schema):
    name = fields.String()
    output = fields.List(fields.Integer())
    parameters = fields.Integer()


class MemorySchema(Schema):
    """Bytes, estimated."""

    model_bytes = fields.Integer()
    activations_bytes = fields.Integer()
    data_bytes = fields.Integer()


class PlanSchema(Schema):
    """What a job would be and take."""

    spec = fields.Function(lambda plan: plan.spec.to_dict())
    parameters = fields.Integer()
    layers = fields.List(fields.Nested(LayerSchema))
    memory = fields.Nested(MemorySchema)
    warnings = fields.List(fields.String())


class HistorySchema(Schema):
    data = fields.List(fields.Nested(EpochSchema))
    best = fields.Nested(EpochSchema, allow_none=True)
    last = fields.Nested(EpochSchema, allow_none=True)


def links(job_id: str) -> dict[str, str]:
    """Where to go from a job."""
    base = f"/v1/jobs/{quote(job_id)}"
    return {"self": base} | {name: f"{base}/{name}" for name in LINKS}


def _label(text: str) -> None:
    if "=" not in text:
        raise ValidationError("Must be key=value.")


class JobsQuerySchema(PageQuerySchema):
    """What to list."""

    status = fields.List(
        fields.String(validate=validate.OneOf([str(s) for s in Status], error=f"Must be one of: {', '.join(Status)}.")),
        load_default=[], metadata={"description": "any of these; may be repeated", "allowed": ", ".join(Status)},
    )  # fmt: skip
    label = fields.List(
        Text(validate=_label), load_default=[],
        metadata={"description": "key=value that the job must carry; repeated: all of them", "allowed": "key=value"},
    )  # fmt: skip

    @post_load
    def _filters(self, data: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        statuses, labels = data.pop("status"), data.pop("label")
        return data | {
            "statuses": [Status(word) for word in statuses],
            "label_pairs": [tuple(pair.split("=", 1)) for pair in labels],
        }


class SharedQuerySchema(Schema):
    gpus = fields.Integer(
        load_default=None,
        validate=validate.Range(1, MOST_GPUS, error=f"Must be 1 to {MOST_GPUS}."),
        metadata={
            "description": "so many processes are to train it from now on, instead of as many as its spec says",
            "allowed": f"a whole number, 1 to {MOST_GPUS}",
        },
    )


class WaitQuerySchema(Schema):
    wait = fields.Float(
        load_default=0.0, validate=validate.Range(0, MAX_WAIT_SECONDS, error=f"Must be 0 to {MAX_WAIT_SECONDS:g}."),
        metadata={
            "description": "answer only when the job changes or ends, or after this many seconds",
            "allowed": f"a number, 0 to {MAX_WAIT_SECONDS:g}",
        },
    )  # fmt: skip


class SubmitQuerySchema(Schema):
    validate_only = fields.Boolean(
        load_default=False, metadata={"description": "check and plan, store nothing", "allowed": "true or false"}
    )


class SubmitHeadersSchema(Schema):
    key = fields.String(
        data_key="Idempotency-Key", load_default=None,
        validate=validate.Regexp(r"^[\x21-\x7e]{1,255}$", error="Cannot be used as a key."),
        metadata={
            "description": "your own name for this request: sent again with the same body, it gets the same job",
            "allowed": "1 to 255 visible ASCII characters",
        },
    )  # fmt: skip


class HistoryQuerySchema(Schema):
    after_epoch = fields.Integer(
        load_default=0, validate=validate.Range(0, 2**31 - 1, error="Must be 0 or more."),
        metadata={"description": "only later epochs", "allowed": "a whole number, 0 or more"},
    )  # fmt: skip
    format = fields.String(
        load_default="json", validate=validate.OneOf(["json", "csv", "text"], error="Must be one of: json, csv, text."),
        metadata={"description": "text draws the curves in 80 columns", "allowed": "json, csv, text"},
    )  # fmt: skip
    max_points = fields.Integer(
        load_default=None,
        validate=validate.Range(LEAST_POINTS, MOST_POINTS, error=f"Must be {LEAST_POINTS} to {MOST_POINTS}."),
        metadata={
            "description": "of JSON: at most so many epochs, chosen so that they draw the same curve: the first, the "
            "last, the best, and of each stretch those with the lowest and the highest val_loss; without it, all",
            "allowed": f"a whole number, {LEAST_POINTS} to {MOST_POINTS}",
        },
    )  # fmt: skip
