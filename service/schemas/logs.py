"""The log of a job as JSON."""

from marshmallow import Schema, fields

from service.core.records.job_log import KEPT
from service.schemas.answer_fields import Timestamp
from service.schemas.query_fields import choice, integer


class EntrySchema(Schema):
    """An entry of a job's log."""

    id = fields.Integer(metadata={"description": "counted from 1 for each job"})
    attempt = fields.Integer()
    at = Timestamp()
    level = fields.String(
        metadata={"description": "info, warning or error; output for text outside the log, such as that of a crash"}
    )
    message = fields.String(metadata={"description": "can have several lines, for example a traceback"})


class LogsSchema(Schema):
    data = fields.List(fields.Nested(EntrySchema))
    is_terminal = fields.Boolean(metadata={"description": "true when the job has ended and the log is complete"})


class LogsQuerySchema(Schema):
    tail = integer("number of entries, counted from the newest", 1, KEPT, 200)
    after = integer("only entries with a larger id", 0, 10**9, 0)
    format = choice("text has one line for each entry", ["json", "text"])
