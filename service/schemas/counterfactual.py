"""Early stopping replayed with other settings, as JSON."""

from marshmallow import Schema, fields, validate

from service.schemas.answer_fields import Word
from service.schemas.commas import Commas
from service.schemas.fields import WholeText
from service.schemas.query_fields import about

MOST = 20  # values of each parameter
WHOLE_NUMBER = "[1-9][0-9]{0,5}"
NUMBER = r"([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE]-?[0-9]{1,3})?"


class CounterfactualQuerySchema(Schema):
    """The settings to replay: every patience with every min_delta."""

    patience = Commas(
        WholeText(validate=validate.Range(1, 100_000, error="Must be 1 to 100000.")),
        WHOLE_NUMBER,
        1,
        MOST,
        load_default=(1, 3, 5, 10, 20),
        metadata=about(
            "number of consecutive epochs without improvement before a stop, separated by commas",
            f"1 to {MOST} whole numbers, 1 to 100000, separated by commas",
        ),
    )
    min_delta = Commas(
        fields.Float(validate=validate.Range(0, error="Must be 0 or more.")),
        NUMBER,
        1,
        MOST,
        load_default=(0, 0.001, 0.01),
        metadata=about(
            "smallest change that counts as an improvement, under the job's min_delta_mode; separated by commas",
            f"1 to {MOST} numbers, 0 or more, separated by commas",
        ),
    )


class RunSchema(Schema):
    """The result of the run itself."""

    stop_epoch = fields.Integer(metadata={"description": "the last epoch"})
    stop_reason = Word(allow_none=True)
    best_epoch = fields.Integer(allow_none=True, metadata={"description": "the epoch whose weights were kept"})
    best_val_loss = fields.Float(allow_none=True)
    seconds = fields.Float(metadata={"description": "duration of all its epochs"})


class SettingSchema(Schema):
    """The result of a setting on the recorded losses. The job's other options of early stopping apply."""

    patience = fields.Integer()
    min_delta = fields.Float()
    stop_epoch = fields.Integer(allow_none=True, metadata={"description": "null: no stop within the recorded epochs"})
    stop_reason = fields.String(
        allow_none=True, metadata={"description": "early_stopping, target_reached or diverged; null without a stop"}
    )
    beyond_record = fields.Boolean(
        metadata={
            "description": "true when the setting is more patient than the run: the record ends before the stop, so "
            "the result is not known. false when the run ended for another reason: last epoch, time limit, divergence"
        }
    )
    best_epoch = fields.Integer(allow_none=True, metadata={"description": "the epoch whose weights would be kept"})
    best_val_loss = fields.Float(allow_none=True)
    val_accuracy = fields.Float(allow_none=True)
    loss_given_up = fields.Float(
        allow_none=True, metadata={"description": "best_val_loss minus that of the run, in nats; negative is better"}
    )
    loss_given_up_se = fields.Float(
        allow_none=True,
        metadata={
            "description": "its standard error, which treats the two epochs as independent samples and is therefore "
            "too large. 0 for the same epoch, null when noise was not measured"
        },
    )
    is_beyond_noise = fields.Boolean(
        allow_none=True,
        metadata={"description": "true when loss_given_up exceeds 2 standard errors; null: not known"},
    )
    epochs_saved = fields.Integer()
    seconds_saved = fields.Float()


class CounterfactualSchema(Schema):
    """The recorded losses, replayed through the same stopper without training; sorted by patience, then min_delta."""

    actual = fields.Nested(RunSchema)
    data = fields.List(fields.Nested(SettingSchema))
