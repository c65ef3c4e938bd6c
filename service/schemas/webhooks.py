"""Webhooks and what became of their messages, as JSON."""

from marshmallow import Schema, fields, validate

from service.schemas.fields import Text
from service.schemas.jobs import Timestamp


class SecretSchema(Schema):
    secret = fields.String(metadata={"description": "`whsec_` and base64, as the Standard Webhooks libraries take it"})


class TryOutSchema(Schema):
    """Where to send a message of type `test`."""

    url = Text(
        required=True, validate=validate.Length(1, 2000),
        metadata={"description": "an https:// or http:// address", "allowed": "text of 1 to 2000 characters"},
    )  # fmt: skip


class AnswerSchema(Schema):
    is_received = fields.Boolean(metadata={"description": "whether it answered with 2xx"})
    status = fields.Integer(allow_none=True, metadata={"description": "HTTP status; null where there was no answer"})
    detail = fields.String()


class DeliverySchema(Schema):
    id = fields.String(metadata={"description": "the message's webhook-id"})
    type = fields.String()
    url = fields.String()
    status = fields.String(metadata={"description": "pending, delivered or given_up"})
    attempts = fields.Integer()
    error = fields.String(allow_none=True, metadata={"description": "of the last attempt that failed"})
    created_at = Timestamp()
    due_at = Timestamp(metadata={"description": "when a pending one is tried next"})
    delivered_at = Timestamp(allow_none=True)


class DeliveriesSchema(Schema):
    data = fields.List(fields.Nested(DeliverySchema))
