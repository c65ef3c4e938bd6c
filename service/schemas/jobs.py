"""Jobs and lists of jobs as JSON."""

from marshmallow import Schema, fields

from service.core.records.job import Status
from service.http.links import job_links
from service.schemas.answer_fields import TEXT_BY_NAME, SameObject, SpecField, Timestamp, Word
from service.schemas.epochs import EpochSchema
from service.schemas.pages import NextCursor


class ErrorSchema(Schema):
    """Why a job failed."""

    origin = fields.String(metadata={"description": "user, data or infrastructure"})
    code = fields.String()
    detail = fields.String()


class LossSchema(Schema):
    """An attempt whose worker was lost. The next attempt resumed from the last checkpoint."""

    attempt = fields.Integer()
    worker = fields.String()
    cause = fields.String()


class TransitionSchema(Schema):
    status = Word()
    at = Timestamp()


class QueueSchema(Schema):
    jobs_ahead = fields.Integer(
        allow_none=True,
        metadata={
            "description": "number of queued jobs that start before this one, counted up to 1000; null when the job "
            "is not queued"
        },
    )
    shortfall = fields.String(
        allow_none=True,
        metadata={"description": "why no live worker can run the queued job; null when one can, or when not queued"},
    )


class ProgressSchema(Schema):
    epoch = fields.Integer()
    epochs = fields.Integer()
    fraction = fields.Float()
    eta_seconds = fields.Float(
        allow_none=True, metadata={"description": "seconds to the last epoch; early stopping can end the job sooner"}
    )
    images_per_second = fields.Float(allow_none=True)


class WasteSchema(Schema):
    """The cost of the epochs after the best one. Early stopping needs some of them."""

    epochs = fields.Integer()
    seconds = fields.Float()
    images = fields.Integer(metadata={"description": "training images"})
    share = fields.Float(metadata={"description": "share of the seconds of all epochs, 0 to 1"})
    joules = fields.Float(allow_none=True, metadata={"description": "null when no GPU measures energy"})


class CalibrationFactSchema(Schema):
    """The temperature that divides the logits of the best model, and what it does on the validation images."""

    temperature = fields.Float()
    loss = fields.Float(metadata={"description": "cross entropy without the temperature, in nats"})
    loss_after = fields.Float(metadata={"description": "with it, by cross-fitting"})
    ece = fields.Float(metadata={"description": "expected calibration error without the temperature"})
    ece_after = fields.Float(metadata={"description": "with it, by cross-fitting"})


class MirroringSchema(Schema):
    """Whether mirrored images keep their class, by the nearest neighbours among the training images."""

    images = fields.Integer(metadata={"description": "number of training images that were examined"})
    right = fields.Integer(metadata={"description": "number of these whose nearest neighbour has the same class"})
    mirrored = fields.Integer(metadata={"description": "the same for their mirror images"})


class ClassRecallSchema(Schema):
    """A class among the validation images."""

    label = fields.String()
    train = fields.Integer(metadata={"description": "training images"})
    images = fields.Integer(metadata={"description": "validation images"})
    right = fields.Integer(metadata={"description": "validation images that the best model classifies correctly"})


class RareClassesSchema(Schema):
    """The best model on classes with less than half of the mean number of training images of a class."""

    images = fields.Integer(metadata={"description": "validation images of rare classes"})
    right = fields.Integer(metadata={"description": "number of these that are classified correctly"})
    other_images = fields.Integer(metadata={"description": "validation images of the other classes"})
    other_right = fields.Integer(metadata={"description": "number of these that are classified correctly"})
    classes = fields.List(
        fields.Nested(ClassRecallSchema), metadata={"description": "the rare classes with the lowest recall"}
    )


class AverageSchema(Schema):
    """The model kept with regularization.average_best, and its scores on the validation images."""

    tried = fields.List(fields.Integer(), metadata={"description": "the best epochs, the best first"})
    epochs = fields.List(
        fields.Integer(),
        metadata={
            "description": "the epochs whose weights were averaged. If there is only one, no average scored better, "
            "and its own weights were kept"
        },
    )
    val_loss = fields.Float()
    val_loss_se = fields.Float(allow_none=True)
    val_accuracy = fields.Float()
    val_macro_f1 = fields.Float(allow_none=True)
    val_balanced_accuracy = fields.Float(allow_none=True)
    val_worst_recall = fields.Float(allow_none=True)
    val_loss_calibrated = fields.Float(allow_none=True)


class FactsSchema(Schema):
    """What the worker measured on the data."""

    images = fields.Dict(
        keys=fields.String(), values=fields.Integer(), metadata={"description": "number of images by part of the split"}
    )
    trivial_loss = fields.Float(
        metadata={"description": "cross entropy of guessing by the frequencies of the labels, in nats"}
    )
    trivial_accuracy = fields.Float()
    copies_across = fields.Integer(
        metadata={"description": "number of validation images with a copy among the training images"}
    )
    mirroring = fields.Nested(
        MirroringSchema, allow_none=True, metadata={"description": "null for fewer than two training images"}
    )
    calibration = fields.Nested(CalibrationFactSchema, allow_none=True)
    average = fields.Nested(
        AverageSchema, allow_none=True, metadata={"description": "null without average_best, or until the run ends"}
    )
    rare = fields.Nested(
        RareClassesSchema, allow_none=True, metadata={"description": "null if no class is rare, or until the run ends"}
    )


class JobSchema(Schema):
    """A job in its present state."""

    id = fields.String()
    status = Word(metadata={"description": ", ".join(Status)})
    phase = Word(
        allow_none=True, metadata={"description": "preparing, training or finalizing; null when the job is not running"}
    )
    stop_reason = Word(allow_none=True)
    is_terminal = fields.Boolean()
    spec = SpecField(metadata={"description": "the effective spec, with every default filled in"})
    created_at = Timestamp()
    started_at = Timestamp(allow_none=True)
    finished_at = Timestamp(allow_none=True)
    queue = SameObject(QueueSchema)
    progress = fields.Nested(ProgressSchema)
    best = fields.Nested(EpochSchema, allow_none=True)
    last = fields.Nested(EpochSchema, allow_none=True)
    attempt = fields.Integer()
    cancel_requested = fields.Boolean()
    pause_requested = fields.Boolean()
    losses = fields.List(
        fields.Nested(LossSchema),
        attribute="lost_attempts",
        metadata={"description": "attempts that failed because of the infrastructure"},
    )
    releases = fields.Integer(metadata={"description": "how often a stopping worker returned the job to the queue"})
    warnings = fields.List(
        fields.String(), metadata={"description": "possible mistakes in the spec, found when the job was submitted"}
    )
    error = fields.Nested(ErrorSchema, allow_none=True)
    transitions = fields.List(fields.Nested(TransitionSchema))
    facts = fields.Nested(FactsSchema, allow_none=True)
    waste = fields.Nested(WasteSchema, allow_none=True, metadata={"description": "null until the job has ended"})
    parent = fields.String(allow_none=True, metadata={"description": "id of the job from which this job was forked"})
    ablation = fields.String(allow_none=True, metadata={"description": "id of the ablation that created the job"})
    arm = fields.String(allow_none=True, metadata={"description": "name of the arm of the ablation"})
    folds = fields.String(allow_none=True, metadata={"description": "id of the folds that created the job"})
    fit = fields.String(allow_none=True, metadata={"description": "id of the fit to which the job belongs"})
    trial = fields.Integer(allow_none=True, metadata={"description": "number of the trial in its fit, from 1"})
    labels = fields.Dict(keys=fields.String(), values=fields.String(), attribute="spec.labels")
    links = fields.Function(lambda job: job_links(job.id), metadata=TEXT_BY_NAME)


class JobListSchema(Schema):
    """A page of jobs, newest first."""

    data = fields.List(fields.Nested(JobSchema))
    has_more = fields.Boolean()
    next_cursor = NextCursor()
