"""Diagnoses, forks and lineages as JSON."""

from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from service.core.diagnosis import Verdict
from service.schemas.answer_fields import Timestamp, Word
from service.schemas.compare import PartDifferenceSchema
from service.schemas.fields import Flag, Text
from service.schemas.jobs import AverageSchema, WasteSchema
from service.schemas.patches import OperationSchema, Patch
from service.schemas.query_fields import about


class EvidenceSchema(Schema):
    """A number that supports a verdict."""

    name = fields.String()
    value = fields.Float()
    threshold = fields.Float(
        allow_none=True, metadata={"description": "the limit for this number; null: the number is for information only"}
    )
    meaning = fields.String()


class NoteSchema(Schema):
    """A verdict with its evidence."""

    verdict = Word(metadata={"description": ", ".join(Verdict), "enum": list(Verdict)})
    confidence = fields.Float(
        metadata={
            "description": "probability that the verdict is right, calibrated on held-out runs with known problems"
        }
    )
    onset_epoch = fields.Integer(allow_none=True, metadata={"description": "first epoch to which the verdict applies"})
    summary = fields.String()
    evidence = fields.List(fields.Nested(EvidenceSchema))


class ActionSchema(Schema):
    """A request that makes a change without another training."""

    method = fields.String()
    href = fields.String()


class AdviceSchema(Schema):
    """A suggested change, as a JSON Patch of the effective spec. POST its id to the job's fork to try it."""

    id = fields.String()
    title = fields.String()
    verdict = Word(metadata={"description": "the verdict for which it is advised"})
    reason = fields.String()
    expected = fields.String(metadata={"description": "the expected effect"})
    patch = fields.List(
        fields.Nested(OperationSchema),
        metadata={
            "description": "RFC 6902; empty when the advice is about the data, an upload or an action, and cannot be "
            "forked"
        },
    )
    action = fields.Nested(
        ActionSchema, allow_none=True, metadata={"description": "makes the change at once; null for other advice"}
    )


class TestSchema(Schema):
    """The score of the test images, taken once, after training, with the best weights."""

    loss = fields.Float()
    accuracy = fields.Float()
    loss_se = fields.Float(allow_none=True, metadata={"description": "standard error of the loss"})
    optimism = fields.Float(
        allow_none=True, metadata={"description": "test loss minus the validation loss of the best model, in nats"}
    )
    optimism_se = fields.Float(
        allow_none=True,
        metadata={
            "description": "standard error, from the losses of the single images. The test images are not the "
            "validation images, so it is the standard error of two samples: the root of the sum of both squares"
        },
    )
    optimism_interval = fields.List(
        fields.Float(), allow_none=True, metadata={"description": "[low, high]: 95 % interval of optimism"}
    )
    earlier_jobs = fields.Integer(
        metadata={
            "description": "number of earlier jobs scored on the same images; the more there are, the less the test "
            "proves"
        }
    )


class DiagnosisSchema(NoteSchema):
    """A diagnosis of the curves of a job, during training or at its end, with suggested changes."""

    is_final = fields.Boolean(metadata={"description": "true when the job has ended"})
    notes = fields.List(fields.Nested(NoteSchema), metadata={"description": "further verdicts"})
    advice = fields.List(fields.Nested(AdviceSchema), metadata={"description": "the most promising first"})
    test = fields.Nested(TestSchema, allow_none=True)
    average = fields.Nested(
        AverageSchema, allow_none=True, metadata={"description": "null without average_best, or until the run ends"}
    )
    waste = fields.Nested(WasteSchema, allow_none=True)
    links = fields.Dict(keys=fields.String(), values=fields.String())


class ForkSchema(Schema):
    """The change to the job's spec: an advice or a patch. With keep_weights there may be neither."""

    advice = Text(validate=validate.Length(1, 100), metadata=about("the id of an advice", "the id of an advice"))
    patch = Patch("changes to the job's effective spec")
    keep_weights = Flag(
        load_default=False,
        metadata=about("start from the job's best model instead of random weights", "true or false"),
    )

    @validates_schema
    def _one_of_them(self, data: dict[str, Any], **kwargs: Any) -> None:
        given = ("advice" in data) + ("patch" in data)
        if given > 1 or not (given or data["keep_weights"]):
            raise ValidationError("Send either an advice or a patch, or keep_weights.", "advice")


class RelativeSchema(Schema):
    """A job of a family."""

    id = fields.String()
    parent = fields.String(allow_none=True)
    advice = fields.String(allow_none=True)
    patch = fields.List(
        fields.Nested(OperationSchema),
        allow_none=True,
        metadata={"description": "the changes to the parent's spec"},
    )
    weights = fields.String(
        allow_none=True, metadata={"description": "id of the upload or the job whose weights the job starts from"}
    )
    name = fields.String(allow_none=True)
    status = Word()
    stop_reason = Word(allow_none=True)
    created_at = Timestamp()
    best_epoch = fields.Integer(allow_none=True)
    best_val_loss = fields.Float(allow_none=True)
    best_val_accuracy = fields.Float(allow_none=True)
    against_parent = fields.Nested(
        PartDifferenceSchema,
        allow_none=True,
        metadata={
            "description": "the job's scores minus its parent's on the same validation images, image by image; null "
            "without predictions of both, and for all but the newest 100 forks"
        },
    )


class LineageSchema(Schema):
    data = fields.List(fields.Nested(RelativeSchema), metadata={"description": "the oldest first"})
