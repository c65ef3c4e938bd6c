"""Events as JSON."""

from marshmallow import Schema, fields

from service.schemas.answer_fields import AnyValue, Timestamp
from service.schemas.query_fields import integer

MOST = 1000


class EventSchema(Schema):
    """An event of a job or of a fit."""

    id = fields.Integer(metadata={"description": "counted from 1 in each job and each fit"})
    type = fields.String(
        metadata={"description": "of a job: status, phase, facts, epoch, diagnosis, resumed, …; of a fit: step, status"}
    )
    at = Timestamp()
    data = fields.Dict(
        keys=fields.String(),
        values=AnyValue(),
        metadata={"description": "the members depend on the type"},
    )


class EventsSchema(Schema):
    data = fields.List(fields.Nested(EventSchema))
    has_more = fields.Boolean()


class EventsQuerySchema(Schema):
    after = integer("only events with a larger id", 0, 10**18, 0)
    limit = integer("number of events in one answer", 1, MOST, 100)


class JobEventsQuerySchema(EventsQuerySchema):
    positions = fields.Boolean(
        load_default=False,
        metadata={"description": "for a stream: send `position` too, without an id: batch of batches of an epoch"},
    )
