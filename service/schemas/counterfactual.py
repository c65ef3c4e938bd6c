"""Early stopping replayed with other settings, as JSON."""

from marshmallow import Schema, fields, validate

from service.schemas.commas import Commas
from service.schemas.jobs import Word

MOST = 20  # values of each parameter


class CounterfactualQuerySchema(Schema):
    """Which settings to replay: every patience with every min_delta."""

    patience = Commas(
        fields.Integer(validate=validate.Range(1, 100_000, error="Must be 1 to 100000.")), "[1-9][0-9]{0,5}", 1, MOST,
        load_default=(1, 3, 5, 10, 20),
        metadata={
            "description": "epochs in a row without improvement after which to stop, between commas",
            "allowed": f"1 to {MOST} whole numbers, 1 to 100000, between commas",
        },
    )  # fmt: skip
    min_delta = Commas(
        fields.Float(validate=validate.Range(0, error="Must be 0 or more.")),
        r"([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE]-?[0-9]{1,3})?", 1, MOST,
        load_default=(0, 0.001, 0.01),
        metadata={
            "description": "a change must be larger than this to count, as the job's min_delta_mode has it; "
            "between commas",
            "allowed": f"1 to {MOST} numbers, 0 or more, between commas",
        },
    )  # fmt: skip


class RunSchema(Schema):
    """What the run itself did."""

    stop_epoch = fields.Integer(metadata={"description": "the last epoch"})
    stop_reason = Word(allow_none=True)
    best_epoch = fields.Integer(allow_none=True, metadata={"description": "the one whose weights were kept"})
    best_val_loss = fields.Float(allow_none=True)
    seconds = fields.Float(metadata={"description": "of all its epochs"})


class SettingSchema(Schema):
    """What a setting would have done on the recorded losses; the job's other options of early stopping hold."""

    patience = fields.Integer()
    min_delta = fields.Float()
    stop_epoch = fields.Integer(
        allow_none=True, metadata={"description": "null: it would not have stopped within the recorded epochs"}
    )
    stop_reason = fields.String(
        allow_none=True, metadata={"description": "early_stopping, target_reached or diverged; null without a stop"}
    )
    beyond_record = fields.Boolean(
        metadata={
            "description": "it is more patient than the run was: the record ends before it would have stopped, so what "
            "it would have kept is not known. false where the run was over anyway: no epochs or no time left, diverged"
        }
    )
    best_epoch = fields.Integer(allow_none=True, metadata={"description": "the one whose weights it would have kept"})
    best_val_loss = fields.Float(allow_none=True)
    val_accuracy = fields.Float(allow_none=True)
    loss_given_up = fields.Float(
        allow_none=True, metadata={"description": "nats: best_val_loss minus that of the run; below 0 it is better"}
    )
    loss_given_up_se = fields.Float(
        allow_none=True,
        metadata={
            "description": "its standard error, as if both epochs were scored on different images: more than it is. "
            "0 for one and the same epoch, null where noise was not measured"
        },
    )
    is_beyond_noise = fields.Boolean(
        allow_none=True, metadata={"description": "whether more than 2 standard errors were given up; null: not known"}
    )
    epochs_saved = fields.Integer()
    seconds_saved = fields.Float()


class CounterfactualSchema(Schema):
    """The recorded losses, replayed through the same stopper without any training; by patience, then min_delta."""

    actual = fields.Nested(RunSchema)
    data = fields.List(fields.Nested(SettingSchema))
