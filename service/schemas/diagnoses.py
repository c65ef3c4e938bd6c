"""Diagnoses of runs that were trained elsewhere, as JSON."""

from typing import Any

from marshmallow import Schema, ValidationError, fields, validate

from service.core.diagnosis.histories.names import NAMEABLE, columns_of
from service.core.experiments.foreign_runs import MOST_CLASSES, MOST_IMAGES
from service.schemas.answer_fields import TEXT_BY_NAME, AnyValue, Word
from service.schemas.commas import Commas
from service.schemas.counterfactual import RunSchema, SettingSchema
from service.schemas.diagnosis import AdviceSchema, DiagnosisSchema
from service.schemas.fields import Labels, Text, Whole
from service.schemas.query_fields import about, integer

MOST_COUNTS = 1000  # in a query, whose length is limited anyway
LONGEST_NAME, LONGEST_COLUMNS = 200, 2_000
COLUMNS = about(
    "columns with unusual names, as measure:column separated by commas: val_loss:validation_nll,epoch:e",
    f"pairs measure:column separated by commas, with the measures {', '.join(NAMEABLE)}",
)
RUN = about("which run of a file with several: its name, or its number from 1", "the name or number of a run")
CLASSES, TRAIN_IMAGES = "number of classes", "number of training images"
VALIDATION_IMAGES = "number of validation images"
COUNTS = about("training images of each class", f"numbers, 0 to {MOST_IMAGES}, not all 0")
COUNT = validate.Range(0, MOST_IMAGES, error=f"Must be 0 to {MOST_IMAGES}.")


class Columns(fields.String):
    """Pairs `measure:column`, loaded as a mapping."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return columns_of(super()._deserialize(value, *args, **kwargs))
        except ValueError as error:
            raise ValidationError(str(error)) from error


class DiagnoseQuerySchema(Schema):
    """What is known of a run beside its history."""

    classes = integer(CLASSES, 1, MOST_CLASSES, None)
    train_images = integer(TRAIN_IMAGES, 1, MOST_IMAGES, None)
    validation_images = integer(VALIDATION_IMAGES, 1, MOST_IMAGES, None)
    label_counts = Commas(fields.Integer(validate=COUNT), "[0-9]{1,12}", 1, MOST_COUNTS, metadata=COUNTS)
    columns = Columns(validate=validate.Length(min=1), metadata=COLUMNS)
    run = Text(validate=validate.Length(1, LONGEST_NAME), metadata=RUN)


class DiagnosisRequestSchema(Schema):
    """A history with what is known of its run. Only `epochs` with one loss is needed."""

    epochs = fields.List(
        fields.Dict(fields.String(), AnyValue()),
        required=True,
        metadata=about(
            "one object an epoch: epoch, train_loss, val_loss, train_accuracy, val_accuracy, lr; other names that "
            "frameworks use are read too, and missing or null values were not measured",
            "a list of objects",
        ),
    )
    classes = integer(CLASSES, 1, MOST_CLASSES, None, Whole)
    train_images = integer(TRAIN_IMAGES, 1, MOST_IMAGES, None, Whole)
    validation_images = integer(VALIDATION_IMAGES, 1, MOST_IMAGES, None, Whole)
    label_counts = fields.List(
        Whole(validate=COUNT), allow_none=True, validate=validate.Length(1, MOST_CLASSES), metadata=COUNTS
    )
    columns = Labels(
        fields.String(),
        fields.String(validate=validate.Length(1, LONGEST_NAME)),
        len(NAMEABLE),
        allow_none=True,
        metadata=about("columns with unusual names, by measure", f"names by measure: {', '.join(NAMEABLE)}"),
    )
    run = Text(allow_none=True, validate=validate.Length(1, LONGEST_NAME), metadata=RUN)
    spec = fields.Dict(
        fields.String(),
        AnyValue(),
        allow_none=True,
        metadata=about(
            "the settings of the run as a job spec; options that are left out have their defaults. With it, advice "
            "has a JSON Patch",
            "a job spec; dataset may be missing",
        ),
    )


class ReadSchema(Schema):
    """How the history was read."""

    format = fields.String()
    columns = fields.Dict(keys=fields.String(), values=fields.String(), metadata={"description": "column by measure"})
    epochs = fields.Integer(metadata={"description": "number of epochs that were judged"})
    passed_over = fields.List(fields.String(), metadata={"description": "the parts that were not used"})
    notes = fields.List(fields.String(), metadata={"description": "what was assumed"})


class MissingSchema(Schema):
    """Something that is not known of the run."""

    what = Word()
    cost = fields.String(metadata={"description": "what the diagnosis cannot find out without it"})


class AdviceWithCodeSchema(AdviceSchema):
    """A suggested change. Its patch is empty when the spec is not known, or when it is about the data."""

    snippets = fields.Dict(
        keys=fields.String(),
        values=fields.String(),
        metadata={**TEXT_BY_NAME, "description": "code for keras, pytorch, lightning and timm"},
    )


class RecordedSchema(RunSchema):
    """The run itself."""

    class Meta:
        exclude = ("seconds", "stop_reason")


class ReplayedSchema(SettingSchema):
    """The result of a setting on the recorded losses."""

    class Meta:
        exclude = ("seconds_saved",)


class ReplaySchema(Schema):
    """The recorded losses, replayed through early stopping; sorted by patience, then min_delta."""

    actual = fields.Nested(RecordedSchema)
    data = fields.List(fields.Nested(ReplayedSchema))


class ForeignDiagnosisSchema(DiagnosisSchema):
    """The diagnosis of a history from elsewhere. It is stored nowhere."""

    class Meta:
        exclude = ("test", "waste")

    advice = fields.List(fields.Nested(AdviceWithCodeSchema), metadata={"description": "the most promising first"})
    read = fields.Nested(ReadSchema)
    missing = fields.List(fields.Nested(MissingSchema))
    counterfactual = fields.Nested(
        ReplaySchema, allow_none=True, metadata={"description": "null when no validation loss was measured"}
    )
