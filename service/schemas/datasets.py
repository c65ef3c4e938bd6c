"""Data sets as JSON."""

from marshmallow import Schema, fields


class DatasetSchema(Schema):
    """A data set that a spec can name."""

    id = fields.String()
    name = fields.String()
    status = fields.String(metadata={"description": "ready"})
    classes = fields.List(fields.String())
    samples = fields.Integer()
    samples_per_class = fields.Function(lambda found: dict(zip(found.classes, found.samples_per_class, strict=True)))
    shape = fields.List(fields.Integer(), metadata={"description": "channels, height, width"})


class DatasetListSchema(Schema):
    data = fields.List(fields.Nested(DatasetSchema))
