"""The manifest of the files of a job, as JSON."""

from marshmallow import Schema, fields


class ArtifactSchema(Schema):
    name = fields.String()
    bytes = fields.Integer()
    sha256 = fields.String(metadata={"description": "hexadecimal; equal to the ETag of the file"})
    media_type = fields.String()


class ManifestSchema(Schema):
    data = fields.List(fields.Nested(ArtifactSchema))
