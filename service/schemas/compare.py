"""Comparisons of jobs as JSON."""

from marshmallow import Schema, ValidationError, fields, validate

from service.core.experiments.difference import DifferenceVerdict
from service.schemas.answer_fields import AnyValue, Word
from service.schemas.commas import Commas
from service.schemas.fields import Text
from service.schemas.jobs import WasteSchema
from service.schemas.query_fields import about

FEWEST, MOST = 2, 8


def _distinct(ids: list[str]) -> None:
    if len(set(ids)) < len(ids):
        raise ValidationError("Must be distinct.")


class CompareQuerySchema(Schema):
    jobs = Commas(
        Text(validate=validate.Length(1, 100)),
        "[A-Za-z0-9_-]{1,100}",
        FEWEST,
        MOST,
        required=True,
        validate=_distinct,
        metadata=about(
            "job ids, separated by commas; the first job is the reference",
            f"{FEWEST} to {MOST} distinct job ids, separated by commas",
        ),
    )


class DifferingSchema(Schema):
    """A field in which the specs differ. A list counts as one value."""

    pointer = fields.String(metadata={"description": "path in the spec, as a JSON pointer"})
    values = fields.Dict(
        keys=fields.String(),
        values=AnyValue(),
        metadata={"description": "values by job id; a job whose spec lacks the field is absent"},
    )


class BestSchema(Schema):
    """The epoch whose weights were kept."""

    epoch = fields.Integer()
    val_loss = fields.Float(allow_none=True)
    val_accuracy = fields.Float(allow_none=True)
    val_loss_se = fields.Float(allow_none=True, metadata={"description": "standard error of val_loss"})


class ComparedSchema(Schema):
    """One of the compared jobs in its present state."""

    id = fields.String()
    name = fields.String(allow_none=True)
    status = Word()
    stop_reason = Word(allow_none=True)
    epochs = fields.Integer(metadata={"description": "number of completed epochs"})
    seconds = fields.Float(metadata={"description": "duration of these epochs"})
    best = fields.Nested(BestSchema, allow_none=True)
    waste = fields.Nested(WasteSchema, allow_none=True, metadata={"description": "null until the job has ended"})
    same_split_as_first = fields.Boolean(
        allow_none=True,
        metadata={"description": "true when it has the same validation images as the first job; null: not recorded"},
    )


class McNemarSchema(Schema):
    """The images that only one of the two jobs gets right, and McNemar's exact test of the two numbers."""

    gained = fields.Integer(metadata={"description": "images that only this job classifies correctly"})
    lost = fields.Integer(metadata={"description": "images that only the first job classifies correctly"})
    p_value = fields.Float(
        metadata={"description": "probability of such a difference if both jobs have the same accuracy"}
    )


def _interval(of: str, attribute: str) -> "fields.List[float]":
    return fields.List(
        fields.Float(),
        attribute=attribute,
        allow_none=True,
        metadata={"description": f"[low, high]: 95 % interval of {of}", "minItems": 2, "maxItems": 2},
    )


class PartDifferenceSchema(Schema):
    """The scores on the images of one part: the job's value minus the other's. Null: not known."""

    paired = fields.Boolean(
        attribute="is_paired", metadata={"description": "true: the same images, compared image by image"}
    )
    images = fields.Integer(allow_none=True, metadata={"description": "the smaller number of both jobs"})
    loss = fields.Float(allow_none=True, metadata={"description": "nats; negative is better"})
    standard_error = fields.Float(allow_none=True)
    interval = _interval("loss", "interval")
    accuracy_points = fields.Float(allow_none=True, metadata={"description": "percentage points; positive is better"})
    accuracy_standard_error = fields.Float(allow_none=True)
    accuracy_interval = _interval("accuracy_points", "accuracy_interval")
    mcnemar = fields.Nested(McNemarSchema, allow_none=True, metadata={"description": "null without pairs"})
    better_probability = fields.Float(
        allow_none=True,
        metadata={"description": "probability, 0 to 1, that the loss is really lower, and not only by chance"},
    )
    images_needed = fields.Integer(allow_none=True)


class DifferenceSchema(Schema):
    """The best epoch of a job against the best epoch of the first: the job's value minus the first's. Null: not known.

    Where both jobs have predictions of the same images, each image is compared with itself. Otherwise the standard
    errors treat the two jobs as independent samples. One seed is one draw: an ablation over
    several seeds is more reliable.
    """

    job = fields.String()
    against = fields.String()
    same_split = fields.Boolean(
        allow_none=True, metadata={"description": "false: different validation images; null: not recorded"}
    )
    paired = fields.Boolean(
        attribute="validation.is_paired",
        metadata={"description": "true: the same validation images, compared image by image; false: as two samples"},
    )
    images = fields.Integer(
        attribute="validation.images",
        allow_none=True,
        metadata={"description": "number of validation images; the smaller one if they differ"},
    )
    val_loss = fields.Float(
        attribute="validation.loss", allow_none=True, metadata={"description": "nats; negative is better"}
    )
    standard_error = fields.Float(
        attribute="validation.standard_error",
        allow_none=True,
        metadata={"description": "of val_loss; without pairs, the root of the sum of both squares"},
    )
    interval = _interval("val_loss", "validation.interval")
    accuracy_points = fields.Float(
        attribute="validation.accuracy_points",
        allow_none=True,
        metadata={"description": "percentage points; positive is better"},
    )
    accuracy_standard_error = fields.Float(
        attribute="validation.accuracy_standard_error",
        allow_none=True,
        metadata={"description": "of accuracy_points; without pairs, from binomial noise"},
    )
    accuracy_interval = _interval("accuracy_points", "validation.accuracy_interval")
    mcnemar = fields.Nested(
        McNemarSchema,
        attribute="validation.mcnemar",
        allow_none=True,
        metadata={"description": "null without pairs"},
    )
    better_probability = fields.Float(
        attribute="validation.better_probability",
        allow_none=True,
        metadata={"description": "probability, 0 to 1, that the loss is really lower, and not only by chance"},
    )
    images_needed = fields.Integer(
        attribute="validation.images_needed",
        allow_none=True,
        metadata={
            "description": "number of validation images with which a true difference of this size would be beyond "
            "noise four times in five (power 0.8)"
        },
    )
    test = fields.Nested(
        PartDifferenceSchema,
        allow_none=True,
        metadata={"description": "null unless both jobs were tested on images of one data set"},
    )
    verdict = Word(metadata={"description": ", ".join(DifferenceVerdict)})
    note = fields.String(metadata={"description": "a limit of this comparison"})


class ComparisonSchema(Schema):
    """The differences between the specs and their effects, with the noise.

    The noise is only that of the validation images. Another seed of the same spec also gives another result, so an
    ablation over several seeds is more reliable.
    """

    spec = fields.List(
        fields.Nested(DifferingSchema),
        metadata={
            "description": "the differing fields, in the order of the spec; name, labels, webhook and priority only "
            "if nothing else differs"
        },
    )
    jobs = fields.List(fields.Nested(ComparedSchema))
    differences = fields.List(
        fields.Nested(DifferenceSchema), metadata={"description": "one for each job after the first"}
    )
    summary = fields.List(
        fields.String(),
        metadata={
            "description": "a sentence for each job after the first: the change and its effect. One seed is one draw: "
            "an ablation over several seeds is more reliable"
        },
    )
