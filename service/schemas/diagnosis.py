"""Diagnoses, forks and lineages as JSON."""

from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from service.core.diagnosis import Verdict
from service.schemas.fields import Text
from service.schemas.jobs import Timestamp, WasteSchema, Word
from service.schemas.patches import Patch


class EvidenceSchema(Schema):
    """A number that a verdict rests on."""

    name = fields.String()
    value = fields.Float()
    threshold = fields.Float(
        allow_none=True, metadata={"description": "what it was held against; null: told for information"}
    )
    meaning = fields.String()


class NoteSchema(Schema):
    """A verdict with what speaks for it."""

    verdict = Word(metadata={"description": ", ".join(Verdict), "enum": list(Verdict)})
    confidence = fields.Float(metadata={"description": "0.5 at the thresholds of the rules, towards 1 beyond them"})
    onset_epoch = fields.Integer(allow_none=True, metadata={"description": "since which epoch it holds"})
    summary = fields.String()
    evidence = fields.List(fields.Nested(EvidenceSchema))


class AdviceSchema(Schema):
    """What to change, as a JSON Patch of the effective spec: POST its id to the job's fork."""

    id = fields.String()
    title = fields.String()
    verdict = Word(metadata={"description": "what it is advised for"})
    reason = fields.String()
    expected = fields.String(metadata={"description": "what should come of it"})
    patch = fields.List(
        fields.Dict(), metadata={"description": "RFC 6902; empty: it is about the data, there is nothing to fork"}
    )


class TestSchema(Schema):
    """The test images, scored once, after training, with the best weights."""

    loss = fields.Float()
    accuracy = fields.Float()
    loss_se = fields.Float(allow_none=True, metadata={"description": "standard error of the loss"})
    optimism = fields.Float(
        allow_none=True,
        metadata={"description": "test loss minus the validation loss that the epoch was chosen by, in nats"},
    )
    optimism_se = fields.Float(allow_none=True)
    earlier_jobs = fields.Integer(
        metadata={"description": "earlier jobs scored on the same images: each look makes a test less honest"}
    )


class DiagnosisSchema(NoteSchema):
    """What a run's curves show, while it trains or at its end, and what to change."""

    is_final = fields.Boolean(metadata={"description": "the run has ended"})
    notes = fields.List(fields.Nested(NoteSchema), metadata={"description": "what else holds"})
    advice = fields.List(fields.Nested(AdviceSchema), metadata={"description": "the most promising first"})
    test = fields.Nested(TestSchema, allow_none=True)
    waste = fields.Nested(WasteSchema, allow_none=True)
    links = fields.Dict(keys=fields.String(), values=fields.String())


class ForkSchema(Schema):
    """How the new job's spec differs: by an advice, or by a patch of your own."""

    advice = Text(
        validate=validate.Length(1, 100), metadata={"description": "an advice's id", "allowed": "the id of an advice"}
    )
    patch = Patch("what to change of the job's effective spec")

    @validates_schema
    def _one_of_them(self, data: dict[str, Any], **kwargs: Any) -> None:
        if ("advice" in data) == ("patch" in data):
            raise ValidationError("Send either an advice or a patch.", "advice")


class RelativeSchema(Schema):
    """A job of a family."""

    id = fields.String()
    parent = fields.String(allow_none=True)
    advice = fields.String(allow_none=True)
    patch = fields.List(fields.Dict(), allow_none=True, metadata={"description": "of the parent's spec"})
    name = fields.String(allow_none=True)
    status = Word()
    stop_reason = Word(allow_none=True)
    created_at = Timestamp()
    best_epoch = fields.Integer(allow_none=True)
    best_val_loss = fields.Float(allow_none=True)
    best_val_accuracy = fields.Float(allow_none=True)


class LineageSchema(Schema):
    data = fields.List(fields.Nested(RelativeSchema), metadata={"description": "the oldest first"})
