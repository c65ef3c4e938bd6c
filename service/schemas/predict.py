"""Predictions as JSON."""

from marshmallow import Schema, fields

from service.schemas.query_fields import integer

MOST_SIMILAR = 20


class PredictQuerySchema(Schema):
    similar = integer(
        "number of similar validation images to return for each picture, the most similar logits first",
        0,
        MOST_SIMILAR,
        0,
    )


class SimilarSchema(Schema):
    """A validation image that the model sees much like the picture."""

    index = fields.Integer(metadata={"description": "place in the data set"})
    label = fields.String(metadata={"description": "its true class"})
    similarity = fields.Float(metadata={"description": "cosine between the centered logits, -1 to 1"})
    image = fields.String(allow_none=True, metadata={"description": "its address; null if the data set is gone"})


class PredictionSchema(Schema):
    name = fields.String(metadata={"description": "file name of the picture"})
    label = fields.String(metadata={"description": "the most probable class"})
    probability = fields.Float()
    probabilities = fields.Dict(keys=fields.String(), values=fields.Float(), metadata={"description": "by class"})
    similar = fields.List(
        fields.Nested(SimilarSchema),
        metadata={"description": "as many as the query requests; empty if the job has no stored predictions"},
    )


class PredictionsSchema(Schema):
    """One prediction for each picture, in the order of the request."""

    data = fields.List(fields.Nested(PredictionSchema))
