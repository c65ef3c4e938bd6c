"""Uploaded weights as JSON."""

from marshmallow import Schema, fields, validate

from service.core.spec.architectures import ARCHITECTURES
from service.schemas.answer_fields import Timestamp
from service.schemas.fields import Choice, Text
from service.schemas.pages import NextCursor
from service.schemas.query_fields import about


class WeightsSchema(Schema):
    """Weights that a spec can name in model.weights."""

    id = fields.String()
    name = fields.String()
    arch = fields.String(metadata={"description": "name of the architecture, as in model.arch"})
    classes = fields.Integer(
        allow_none=True, metadata={"description": "outputs of the last layer; null when the file has no last layer"}
    )
    channels = fields.Integer(metadata={"description": "channels of the images that the first convolution takes"})
    bytes = fields.Integer(metadata={"description": "size of the uploaded file"})
    sha256 = fields.String(metadata={"description": "SHA-256 of the uploaded file"})
    created_at = Timestamp()
    notes = fields.List(
        fields.String(),
        metadata={"description": "what of the file is left out, or was not clear; only in the answer to its upload"},
    )


class WeightsListSchema(Schema):
    data = fields.List(fields.Nested(WeightsSchema))
    has_more = fields.Boolean()
    next_cursor = NextCursor()


class WeightsQuerySchema(Schema):
    arch = fields.String(
        required=True,
        validate=Choice(tuple(ARCHITECTURES)),
        metadata=about("the architecture of the weights, as in model.arch", "a network of torchvision or timm"),
    )
    name = Text(
        load_default=None,
        validate=validate.Length(1, 100, error="Must have 1 to 100 characters."),
        metadata=about("a readable name; default: the architecture", "1 to 100 characters"),
    )
