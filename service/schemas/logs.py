"""The log of a job as JSON."""

from marshmallow import Schema, fields, validate

from service.core.records.job_log import KEPT
from service.schemas.jobs import Timestamp

FORMATS = ("json", "text")


class EntrySchema(Schema):
    """A line of a job's log."""

    id = fields.Integer(metadata={"description": "counted from 1 for each job"})
    attempt = fields.Integer()
    at = Timestamp()
    level = fields.String(
        metadata={"description": "info, warning, error; output for what was written past the log, as a crash is"}
    )
    message = fields.String(metadata={"description": "may have several lines, as a traceback has"})


class LogsSchema(Schema):
    data = fields.List(fields.Nested(EntrySchema))
    is_terminal = fields.Boolean(metadata={"description": "the job has ended: nothing more is written"})


class LogsQuerySchema(Schema):
    tail = fields.Integer(
        load_default=200, validate=validate.Range(1, KEPT, error=f"Must be 1 to {KEPT}."),
        metadata={"description": "lines, the newest", "allowed": f"a whole number, 1 to {KEPT}"},
    )  # fmt: skip
    after = fields.Integer(
        load_default=0, validate=validate.Range(0, 10**9, error="Must be 0 to 1000000000."),
        metadata={"description": "only lines with a larger id", "allowed": "a whole number, 0 to 1000000000"},
    )  # fmt: skip
    format = fields.String(
        load_default="json", validate=validate.OneOf(FORMATS),
        metadata={"description": "text: a line each, for people", "allowed": "json or text"},
    )  # fmt: skip
