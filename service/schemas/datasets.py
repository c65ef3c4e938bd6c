"""Data sets as JSON."""

from marshmallow import Schema, fields, validate

from service.core.records.dataset import Dataset, DatasetStatus
from service.schemas.fields import Text
from service.schemas.jobs import Timestamp, Word

SHOWN = [status for status in DatasetStatus if status is not DatasetStatus.DELETING]


class SizeSchema(Schema):
    width = fields.Integer()
    height = fields.Integer()
    images = fields.Integer()


class DatasetErrorSchema(Schema):
    code = fields.String()
    detail = fields.String()


class DatasetSchema(Schema):
    """A data set that a spec can name. What its images are is null until they have been read."""

    id = fields.String()
    name = fields.String()
    status = Word(metadata={"description": ", ".join(SHOWN)})
    classes = fields.List(fields.String(), attribute="contents.classes", dump_default=None, allow_none=True)
    samples = fields.Integer(attribute="contents.samples", dump_default=None, allow_none=True)
    samples_per_class = fields.Method("_per_class")
    shape = fields.List(
        fields.Integer(), attribute="contents.shape", dump_default=None, allow_none=True,
        metadata={"description": "channels, height, width that a network sees unless dataset.image_size says other"},
    )  # fmt: skip
    sizes = fields.List(
        fields.Nested(SizeSchema), attribute="contents.sizes", dump_default=None, allow_none=True,
        metadata={"description": "the most frequent sizes, at most 20"},
    )  # fmt: skip
    modes = fields.Dict(
        keys=fields.String(), values=fields.Integer(), attribute="contents.modes", dump_default=None, allow_none=True,
        metadata={"description": "images by the mode they were stored in, in Pillow's words"},
    )  # fmt: skip
    split = fields.Dict(
        keys=fields.String(), values=fields.Integer(), attribute="contents.parts", dump_default=None, allow_none=True,
        metadata={"description": "images by train, validation and test, where the set comes divided"},
    )  # fmt: skip
    bytes = fields.Integer(allow_none=True, metadata={"description": "of what was sent"})
    sha256 = fields.String(allow_none=True, metadata={"description": "of what was sent"})
    warnings = fields.Function(lambda found: list(found.contents.warnings) if found.contents else [])
    error = fields.Nested(DatasetErrorSchema, allow_none=True)
    created_at = Timestamp(allow_none=True)

    def _per_class(self, found: Dataset) -> dict[str, int] | None:
        if found.contents is None:
            return None
        return dict(zip(found.contents.classes, found.contents.samples_per_class, strict=True))


class DatasetListSchema(Schema):
    data = fields.List(fields.Nested(DatasetSchema))
    has_more = fields.Boolean()
    next_cursor = fields.String(allow_none=True, metadata={"description": "pass it as `after` for the next page"})


class UploadQuerySchema(Schema):
    name = Text(
        load_default=None, validate=validate.Length(1, 100, error="Must have 1 to 100 characters."),
        metadata={"description": "a name for people", "allowed": "1 to 100 characters"},
    )  # fmt: skip
