"""Events as JSON."""

from marshmallow import Schema, fields, validate

from service.schemas.jobs import Timestamp

MOST = 1000


class EventSchema(Schema):
    """One thing that happened to a job."""

    id = fields.Integer(metadata={"description": "counted from 1 for each job"})
    type = fields.String(metadata={"description": "status, phase, facts, epoch, diagnosis, resumed, …"})
    at = Timestamp()
    data = fields.Dict(keys=fields.String(), metadata={"description": "as the type has it"})


class EventsSchema(Schema):
    data = fields.List(fields.Nested(EventSchema))
    has_more = fields.Boolean()


class EventsQuerySchema(Schema):
    after = fields.Integer(
        load_default=0, validate=validate.Range(0, 10**18, error="Must be 0 or more."),
        metadata={"description": "only events with a larger id", "allowed": "a whole number, 0 or more"},
    )  # fmt: skip
    limit = fields.Integer(
        load_default=100, validate=validate.Range(1, MOST, error=f"Must be 1 to {MOST}."),
        metadata={"description": "events at once", "allowed": f"a whole number, 1 to {MOST}"},
    )  # fmt: skip
