"""Data sets as JSON."""

from typing import Any

from marshmallow import Schema, fields, validate

from service.core.records.dataset import BACKGROUNDS, Dataset, DatasetStatus
from service.schemas.answer_fields import COUNT_BY_NAME, TEXTS, Timestamp, Word
from service.schemas.fields import Text
from service.schemas.pages import NextCursor
from service.schemas.query_fields import about, choice, integer

LEAST_SIDE, MOST_SIDE = 8, 1024  # pixels of an image
SHOWN = [status for status in DatasetStatus if status is not DatasetStatus.DELETING]


def _contents(member: str, description: str | None = None) -> dict[str, Any]:
    """Arguments of a field that shows a member of the contents; null until the data set has been read."""
    metadata = {"description": description} if description else {}
    return {"attribute": f"contents.{member}", "dump_default": None, "allow_none": True, "metadata": metadata}


def _warnings(dataset: Dataset) -> list[str]:
    return list(dataset.contents.warnings) if dataset.contents else []


class SizeSchema(Schema):
    width = fields.Integer()
    height = fields.Integer()
    images = fields.Integer()


class ReadingOptionsSchema(Schema):
    """How the upload is read."""

    skip_broken = fields.Boolean()
    background = fields.String()


class DatasetErrorSchema(Schema):
    code = fields.String()
    detail = fields.String()


class DatasetSchema(Schema):
    """A data set that a spec can name. The members about its images are null until it has been read."""

    id = fields.String()
    name = fields.String()
    status = Word(metadata={"description": ", ".join(SHOWN)})
    classes = fields.List(fields.String(), **_contents("classes"))
    samples = fields.Integer(**_contents("samples"))
    samples_per_class = fields.Method("_per_class", metadata=COUNT_BY_NAME | {"type": ["object", "null"]})
    shape = fields.List(
        fields.Integer(),
        **_contents("shape", "channels, height, width of the network's input, unless dataset.image_size is set"),
    )
    sizes = fields.List(fields.Nested(SizeSchema), **_contents("sizes", "the most frequent image sizes, at most 20"))
    modes = fields.Dict(
        keys=fields.String(),
        values=fields.Integer(),
        **_contents("modes", "number of images by Pillow's name of their pixel format"),
    )
    split = fields.Dict(
        keys=fields.String(),
        values=fields.Integer(),
        **_contents("parts", "number of images in train, validation and test, when the archive divides them"),
    )
    bytes = fields.Integer(allow_none=True, metadata={"description": "size of the uploaded file"})
    sha256 = fields.String(allow_none=True, metadata={"description": "SHA-256 of the uploaded file"})
    options = fields.Nested(ReadingOptionsSchema, metadata={"description": "how the upload is read"})
    warnings = fields.Function(_warnings, metadata=TEXTS)
    error = fields.Nested(DatasetErrorSchema, allow_none=True)
    created_at = Timestamp(allow_none=True)

    def _per_class(self, dataset: Dataset) -> dict[str, int] | None:
        if dataset.contents is None:
            return None
        return dict(zip(dataset.contents.classes, dataset.contents.samples_per_class, strict=True))


class DatasetListSchema(Schema):
    data = fields.List(fields.Nested(DatasetSchema))
    has_more = fields.Boolean()
    next_cursor = NextCursor()


class UploadQuerySchema(Schema):
    name = Text(
        load_default=None,
        validate=validate.Length(1, 100, error="Must have 1 to 100 characters."),
        metadata=about("a readable name", "1 to 100 characters"),
    )
    skip_broken = fields.Boolean(
        load_default=False,
        metadata=about(
            "leave out broken images and wrong rows of the label file; a warning lists them", "true or false"
        ),
    )
    background = choice("colour below transparent pixels; mean: the mean colour of the set", BACKGROUNDS)


class ImageQuerySchema(Schema):
    size = integer(
        "pixels of the longer side; small images are enlarged with sharp pixels. Default: as stored, at most 1024",
        LEAST_SIDE,
        MOST_SIDE,
        None,
    )
