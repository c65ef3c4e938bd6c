"""What a job would cost, as JSON."""

from marshmallow import Schema, fields

from service.schemas.answer_fields import AnyValue, SpecField


class LayerSchema(Schema):
    name = fields.String()
    output = fields.List(fields.Integer())
    parameters = fields.Integer()


class MemorySchema(Schema):
    """Estimated bytes."""

    model_bytes = fields.Integer()
    activations_bytes = fields.Integer()
    data_bytes = fields.Integer()
    features_bytes = fields.Integer(
        metadata={"description": "inputs of the last layer, which a run with frozen layers computes once and keeps"}
    )


class ChoiceSchema(Schema):
    """Values that a recipe has chosen together."""

    values = fields.Dict(
        keys=fields.String(), values=AnyValue(), metadata={"description": "values of the spec by their JSON pointers"}
    )
    reason = fields.String()
    source = fields.String(metadata={"description": "a paper, or a measurement"})


TIME_SOURCES = (
    "history: from earlier jobs on the same data set. speed: from earlier jobs on other data sets. arithmetic: from "
    "the number of multiplications"
)


class JobTimeSchema(Schema):
    """What a job takes on a worker that is otherwise idle, estimated."""

    epoch_seconds = fields.Float()
    seconds = fields.Float(
        metadata={"description": "of all epochs, at most max_seconds; early stopping ends it sooner"}
    )
    source = fields.String(metadata={"description": TIME_SOURCES})


class PlanSchema(Schema):
    """The effective spec of a job and what it needs."""

    spec = SpecField()
    parameters = fields.Integer()
    layers = fields.List(fields.Nested(LayerSchema))
    memory = fields.Nested(MemorySchema)
    threads = fields.Integer(
        allow_none=True,
        metadata={"description": "number of CPU threads that each process can use; null: all threads of the worker"},
    )
    warnings = fields.List(fields.String())
    recipe = fields.List(
        fields.Nested(ChoiceSchema),
        metadata={"description": "the options that the recipe has filled; empty without a recipe"},
    )


class JobPlanSchema(PlanSchema):
    """The plan of a job that is submitted by itself."""

    time = fields.Nested(
        JobTimeSchema, allow_none=True, metadata={"description": "null on GPUs until a job has trained"}
    )
