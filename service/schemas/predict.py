"""Predictions as JSON."""

from marshmallow import Schema, fields


class PredictionSchema(Schema):
    name = fields.String(metadata={"description": "the picture's file name"})
    label = fields.String(metadata={"description": "the most probable class"})
    probability = fields.Float()
    probabilities = fields.Dict(keys=fields.String(), values=fields.Float(), metadata={"description": "by class"})


class PredictionsSchema(Schema):
    """One prediction a picture, in the order in which they were sent."""

    data = fields.List(fields.Nested(PredictionSchema))
