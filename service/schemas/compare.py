"""Jobs beside each other, as JSON."""

from marshmallow import Schema, ValidationError, fields, validate

from service.core.experiments.comparison import Standing
from service.schemas.commas import Commas
from service.schemas.fields import Text
from service.schemas.jobs import WasteSchema, Word

FEWEST, MOST = 2, 8


def _distinct(ids: list[str]) -> None:
    if len(set(ids)) < len(ids):
        raise ValidationError("Must be distinct.")


class CompareQuerySchema(Schema):
    jobs = Commas(
        Text(validate=validate.Length(1, 100)), "[A-Za-z0-9_-]{1,100}", FEWEST, MOST,
        required=True, validate=_distinct,
        metadata={
            "description": "ids, between commas; the others are held against the first",
            "allowed": f"{FEWEST} to {MOST} distinct ids of jobs, between commas",
        },
    )  # fmt: skip


class DifferingSchema(Schema):
    """A field in which the specs differ; a list is compared as a whole."""

    pointer = fields.String(metadata={"description": "where in the spec, as a JSON pointer"})
    values = fields.Dict(
        keys=fields.String(), metadata={"description": "by job id; a job whose spec has no such field is left out"}
    )


class BestSchema(Schema):
    """The epoch whose weights were kept."""

    epoch = fields.Integer()
    val_loss = fields.Float(allow_none=True)
    val_accuracy = fields.Float(allow_none=True)
    val_loss_se = fields.Float(allow_none=True, metadata={"description": "standard error of val_loss"})


class ComparedSchema(Schema):
    """One of the jobs, as it stands."""

    id = fields.String()
    name = fields.String(allow_none=True)
    status = Word()
    stop_reason = Word(allow_none=True)
    epochs = fields.Integer(metadata={"description": "completed"})
    seconds = fields.Float(metadata={"description": "of these epochs"})
    best = fields.Nested(BestSchema, allow_none=True)
    waste = fields.Nested(WasteSchema, allow_none=True, metadata={"description": "null until it has ended"})
    same_split_as_first = fields.Boolean(
        allow_none=True, metadata={"description": "scored on the same images as the first; null: not recorded"}
    )


class DifferenceSchema(Schema):
    """A job's best epoch against the first job's: its value minus the first's; null: not known.

    Standard errors are made as for two samples. Where both were scored on the same images that is conservative: how
    the two fared image by image is not recorded. One seed is one draw: an ablation over seeds tells more.
    """

    job = fields.String()
    against = fields.String()
    same_split = fields.Boolean(
        allow_none=True, metadata={"description": "false: scored on different images; null: not recorded"}
    )
    val_loss = fields.Float(allow_none=True, metadata={"description": "nats; below 0 is better"})
    standard_error = fields.Float(
        allow_none=True, metadata={"description": "of val_loss: the root of the sum of both squares"}
    )
    interval = fields.Tuple(
        (fields.Float(), fields.Float()), allow_none=True, metadata={"description": "95 % interval of val_loss"}
    )
    accuracy_points = fields.Float(allow_none=True, metadata={"description": "percentage points; above 0 is better"})
    accuracy_standard_error = fields.Float(
        allow_none=True, metadata={"description": "of accuracy_points, from binomial noise"}
    )
    verdict = Word(metadata={"description": ", ".join(Standing)})
    note = fields.String(metadata={"description": "what must be borne in mind"})


class ComparisonSchema(Schema):
    """What differed in the specs and what it did, with the noise.

    The noise is that of the validation images alone. One seed is one draw: another seed of the same spec comes out
    differently too, so an ablation over seeds tells more.
    """

    spec = fields.List(
        fields.Nested(DifferingSchema),
        metadata={
            "description": "what differs, in the order of the spec; name, labels, webhook and priority only where "
            "nothing else does"
        },
    )
    jobs = fields.List(fields.Nested(ComparedSchema))
    differences = fields.List(
        fields.Nested(DifferenceSchema), metadata={"description": "one for each job after the first"}
    )
    summary = fields.List(
        fields.String(),
        metadata={
            "description": "a sentence for each job after the first: what was changed and what came of it. One seed is "
            "one draw: an ablation over seeds tells more"
        },
    )
