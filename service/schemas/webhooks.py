"""Webhooks and the deliveries of their messages, as JSON."""

from marshmallow import Schema, fields, validate

from service.schemas.answer_fields import Timestamp
from service.schemas.fields import Text
from service.schemas.query_fields import about


class SecretSchema(Schema):
    secret = fields.String(metadata={"description": "`whsec_` and base64, the format of Standard Webhooks libraries"})


class TryOutSchema(Schema):
    """The address for a message of type `test`."""

    url = Text(
        required=True,
        validate=validate.Length(1, 2000),
        metadata=about("an https:// or http:// address", "text of 1 to 2000 characters"),
    )


class AnswerSchema(Schema):
    is_received = fields.Boolean(metadata={"description": "true when the address answered with a status 2xx"})
    status = fields.Integer(allow_none=True, metadata={"description": "HTTP status; null without an answer"})
    detail = fields.String()


class DeliverySchema(Schema):
    id = fields.String(metadata={"description": "the webhook-id of the message"})
    type = fields.String()
    url = fields.String()
    status = fields.String(metadata={"description": "pending, delivered or given_up"})
    attempts = fields.Integer()
    error = fields.String(allow_none=True, metadata={"description": "error of the last failed attempt"})
    created_at = Timestamp()
    due_at = Timestamp(metadata={"description": "time of the next attempt, when pending"})
    delivered_at = Timestamp(allow_none=True)


class DeliveriesSchema(Schema):
    data = fields.List(fields.Nested(DeliverySchema))
