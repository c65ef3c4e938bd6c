"""Predictions as JSON."""

from marshmallow import Schema, fields


class PredictionSchema(Schema):
    name = fields.String(metadata={"description": "file name of the picture"})
    label = fields.String(metadata={"description": "the most probable class"})
    probability = fields.Float()
    probabilities = fields.Dict(keys=fields.String(), values=fields.Float(), metadata={"description": "by class"})


class PredictionsSchema(Schema):
    """One prediction for each picture, in the order of the request."""

    data = fields.List(fields.Nested(PredictionSchema))
