"""The epochs of a job as JSON."""

from marshmallow import Schema, fields

from service.schemas.epochs import EpochSchema
from service.schemas.jobs import AverageSchema
from service.schemas.query_fields import choice, integer

LEAST_POINTS, MOST_POINTS = 100, 10_000  # of a curve that is drawn


class HistorySchema(Schema):
    data = fields.List(fields.Nested(EpochSchema))
    best = fields.Nested(EpochSchema, allow_none=True)
    last = fields.Nested(EpochSchema, allow_none=True)
    average = fields.Nested(
        AverageSchema, allow_none=True, metadata={"description": "null without average_best, or until the run ends"}
    )


class HistoryQuerySchema(Schema):
    after_epoch = integer("only later epochs", 0, 2**31 - 1, 0)
    format = choice("text draws the curves in 80 columns", ["json", "csv", "text"])
    max_points = integer(
        "JSON only: return at most this many epochs, chosen to draw the same curve: the first, the last, the best, and "
        "of each section the lowest and the highest val_loss. Default: all epochs",
        LEAST_POINTS,
        MOST_POINTS,
        None,
    )
