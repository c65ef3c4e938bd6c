"""Queries and headers of requests for jobs, and the headers of the answer to a submission."""

from typing import Any

from marshmallow import Schema, ValidationError, fields, post_load, validate

from service.core.records.job import Status
from service.core.spec.job import MOST_GPUS
from service.schemas.fields import Text
from service.schemas.pages import PageQuerySchema
from service.schemas.query_fields import about, integer, seconds

MAX_WAIT_SECONDS = 60.0
STATUSES = ", ".join(Status)
SUBMITTED = {
    "Location": {"description": "the address of the job", "schema": {"type": "string"}},
    "Idempotency-Replayed": {
        "description": "true when an earlier request with this key created the job",
        "schema": {"type": "string"},
    },
}


def is_label(text: str) -> bool:
    """Whether a text is key=value. A key has at least one character; a value may be empty."""
    return "=" in text[1:] and not text.startswith("=")


def _label(text: str) -> None:
    if not is_label(text):
        raise ValidationError("Must be key=value.")


class JobsQuerySchema(PageQuerySchema):
    """Which jobs to list."""

    status = fields.List(
        fields.String(validate=validate.OneOf([str(s) for s in Status], error=f"Must be one of: {STATUSES}.")),
        load_default=[],
        metadata=about("any of these statuses; may be repeated", STATUSES),
    )
    label = fields.List(
        Text(validate=_label),
        load_default=[],
        metadata=about("a label that the job must have, as key=value; if repeated, it must have all", "key=value"),
    )

    @post_load
    def _filters(self, data: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        statuses, labels = data.pop("status"), data.pop("label")
        return data | {
            "statuses": [Status(word) for word in statuses],
            "label_pairs": [tuple(pair.split("=", 1)) for pair in labels],
        }


class SharedQuerySchema(Schema):
    gpus = integer("number of training processes from now on, instead of the spec's number", 1, MOST_GPUS, None)


class WaitQuerySchema(Schema):
    wait = seconds("answer when the job changes or ends, at the latest after this many seconds", MAX_WAIT_SECONDS, 0.0)


class SubmitQuerySchema(Schema):
    validate_only = fields.Boolean(
        load_default=False, metadata=about("check and plan the job without storing it", "true or false")
    )


class SubmitHeadersSchema(Schema):
    key = fields.String(
        data_key="Idempotency-Key",
        load_default=None,
        validate=validate.Regexp(r"^[\x21-\x7e]{1,255}$", error="Must be 1 to 255 visible ASCII characters."),
        metadata=about(
            "a unique name of this request; a repetition with the same body returns the same job",
            "1 to 255 visible ASCII characters",
        ),
    )
