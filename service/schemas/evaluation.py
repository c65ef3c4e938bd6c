"""The evaluation of a job as JSON."""

from marshmallow import Schema, fields, validate

from service.schemas.fields import Text
from service.schemas.query_fields import about, choice, integer

PARTS = ("validation", "test")
MOST_MISTAKES, MISTAKES = 200, 20
LONGEST_NAME = 1000  # characters of a class in a query


def _interval(of: str) -> "fields.List[float]":
    return fields.List(fields.Float(), metadata={"description": f"95 % interval of {of}: low, high"})


class ClassScoreSchema(Schema):
    """One class. A ratio without images is 0."""

    label = fields.String()
    support = fields.Integer(metadata={"description": "images of the class"})
    guessed = fields.Integer(metadata={"description": "images that were predicted as the class"})
    precision = fields.Float(metadata={"description": "share of these predictions that is correct"})
    precision_interval = _interval("precision (Wilson)")
    recall = fields.Float(metadata={"description": "share of the images with a correct prediction"})
    recall_interval = _interval("recall (Wilson)")
    f1 = fields.Float(metadata={"description": "harmonic mean of precision and recall"})


class ConfusedSchema(Schema):
    """A cell of the confusion matrix off its diagonal."""

    label = fields.String()
    guess = fields.String()
    images = fields.Integer()


class BinSchema(Schema):
    """The images with a confidence above `above` and at most `at_most`; the means are null where there are none."""

    above = fields.Float()
    at_most = fields.Float()
    images = fields.Integer()
    confidence = fields.Float(allow_none=True, metadata={"description": "mean probability of the predicted classes"})
    accuracy = fields.Float(allow_none=True)


class CalibrationSchema(Schema):
    """How far the probabilities are the shares of right guesses; the values `…_after` divide the logits by the
    temperature.
    """

    temperature = fields.Float(metadata={"description": "fitted on the validation images"})
    loss_after = fields.Float(
        metadata={
            "description": "nats; on validation images by cross-fitting: the temperature was fitted on other images"
        }
    )
    loss_after_interval = _interval("loss_after (bootstrap)")
    gain = fields.Float(metadata={"description": "loss minus loss_after"})
    gain_interval = _interval("gain, image by image (bootstrap)")
    ece = fields.Float(metadata={"description": "expected calibration error, 15 bins of equal width"})
    ece_interval = _interval("ece: 1.96 standard deviations of its bootstrap")
    ece_after = fields.Float()
    ece_after_interval = _interval("ece_after")
    brier = fields.Float(metadata={"description": "sum over the classes, from 0 to 2"})
    brier_interval = _interval("brier (bootstrap)")
    bins = fields.List(fields.Nested(BinSchema), metadata={"description": "the reliability diagram"})


class MistakeSchema(Schema):
    """An image, with the label of the data set and the guess of the model."""

    index = fields.Integer(metadata={"description": "place of the image in the data set"})
    label = fields.String()
    guess = fields.String()
    probability = fields.Float(metadata={"description": "of the predicted class, without the temperature"})
    loss = fields.Float(metadata={"description": "cross entropy in nats"})
    image = fields.String(allow_none=True, metadata={"description": "the image as PNG; null if the data set is gone"})


class BaselineSchema(Schema):
    """Guessing the most common class of these images."""

    label = fields.String()
    accuracy = fields.Float()
    loss = fields.Float(metadata={"description": "the loss of predicting each class with its frequency, in nats"})
    macro_f1 = fields.Float()
    balanced_accuracy = fields.Float()


class EvaluationSchema(Schema):
    """What the best model of a job does with the images of one part."""

    part = fields.String(metadata={"enum": list(PARTS)})
    parts = fields.List(fields.String(), metadata={"description": "the parts that the job has"})
    classes = fields.List(fields.String())
    images = fields.Integer()
    loss = fields.Float(metadata={"description": "mean cross entropy in nats"})
    loss_interval = _interval("loss (bootstrap)")
    accuracy = fields.Float()
    accuracy_interval = _interval("accuracy (Wilson)")
    macro_f1 = fields.Float(metadata={"description": "mean F1 over all classes"})
    balanced_accuracy = fields.Float(metadata={"description": "mean recall over all classes"})
    baseline = fields.Nested(BaselineSchema)
    per_class = fields.List(fields.Nested(ClassScoreSchema))
    confusion = fields.List(
        fields.List(fields.Integer()),
        allow_none=True,
        metadata={
            "description": "images by label (row) and guess (column); null with more than 50 classes: use format=csv"
        },
    )
    confused = fields.List(
        fields.Nested(ConfusedSchema), metadata={"description": "the 50 most confused pairs, the most frequent first"}
    )
    calibration = fields.Nested(CalibrationSchema)
    mistakes = fields.List(fields.Nested(MistakeSchema), metadata={"description": "by falling loss"})


class PartQuerySchema(Schema):
    part = fields.String(
        load_default=None,
        validate=validate.OneOf(PARTS, error=f"Must be one of: {', '.join(PARTS)}."),
        metadata=about("default: test if the job has test images, else validation", ", ".join(PARTS)),
    )


class EvaluationQuerySchema(PartQuerySchema):
    label = Text(
        load_default=None,
        validate=validate.Length(1, LONGEST_NAME),
        metadata=about("only mistakes on images of this class", "a class of the data set"),
    )
    guess = Text(
        load_default=None,
        validate=validate.Length(1, LONGEST_NAME),
        metadata=about(
            "only mistakes with this predicted class; if equal to `label`, the correct predictions of the class",
            "a class of the data set",
        ),
    )
    mistakes = integer("at most this many mistakes", 0, MOST_MISTAKES, MISTAKES)
    format = choice("text shows the matrix and tables, csv the whole confusion matrix", ["json", "csv", "text"])
