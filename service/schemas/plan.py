"""What a job would cost, as JSON."""

from marshmallow import Schema, fields

from service.schemas.answer_fields import SpecField


class LayerSchema(Schema):
    name = fields.String()
    output = fields.List(fields.Integer())
    parameters = fields.Integer()


class MemorySchema(Schema):
    """Estimated bytes."""

    model_bytes = fields.Integer()
    activations_bytes = fields.Integer()
    data_bytes = fields.Integer()


class PlanSchema(Schema):
    """The effective spec of a job and what it needs."""

    spec = SpecField()
    parameters = fields.Integer()
    layers = fields.List(fields.Nested(LayerSchema))
    memory = fields.Nested(MemorySchema)
    threads = fields.Integer(
        allow_none=True,
        metadata={"description": "CPU threads that each process gains from; null: as many as the worker has"},
    )
    warnings = fields.List(fields.String())
