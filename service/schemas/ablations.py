"""Ablations as JSON."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from marshmallow import Schema, fields, post_load, validate

from service.core.diagnosis.cures import CURES
from service.core.evaluation.by_image import ByImage
from service.core.experiments.conclusions import Conclusions
from service.core.experiments.design import MOST_FACTORS, MOST_SEEDS, Factor
from service.core.experiments.statistics import Verdict
from service.core.records.ablation import ALL, BASE
from service.core.records.job import Status
from service.schemas.answer_fields import TEXT_BY_NAME, Word
from service.schemas.experiments import ExperimentEntrySchema, ExperimentRequestSchema, experiment_links
from service.schemas.fields import ShortList, Text, Whole, WordOrObject
from service.schemas.pages import NextCursor
from service.schemas.patches import OperationSchema, Patch
from service.schemas.query_fields import about, integer

LEAST_SEEDS, SEEDS = 2, 3


class FactorSchema(Schema):
    """A factor as a patch."""

    name = Text(
        required=True,
        validate=validate.Length(1, 50, error="Must have 1 to 50 characters."),
        metadata=about(f"any name but {BASE} and {ALL}", "text of 1 to 50 characters"),
    )
    patch = Patch("the changes to the spec; the paths refer to the spec with every default filled in", required=True)

    @post_load
    def _build(self, data: dict[str, Any], **kwargs: Any) -> Factor:
        return Factor(**data)


class AblationRequestSchema(ExperimentRequestSchema):
    """The base, each factor alone and all factors together run under each seed, as ordinary jobs."""

    factors = ShortList(
        WordOrObject(
            tuple(CURES),
            FactorSchema(),
            metadata={"allowed": f"{', '.join(CURES)}, or an object with a name and a patch"},
        ),
        1,
        MOST_FACTORS,
        required=True,
        metadata=about(
            "the changes whose effects are measured: ids of advice, or patches",
            f"a list of 1 to {MOST_FACTORS} names or objects with a name and a patch",
        ),
    )
    seeds = integer(
        "number of runs of each arm. With more runs, smaller effects become visible. The seeds count up from the "
        "spec's seed; without one they are random",
        LEAST_SEEDS,
        MOST_SEEDS,
        SEEDS,
        Whole,
    )

    @post_load
    def _factors(self, data: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        return data | {"factors": [Factor(given) if isinstance(given, str) else given for given in data["factors"]]}


class ArmRunSchema(Schema):
    """A job of an arm."""

    id = fields.String()
    seed = fields.Integer()
    status = Word(metadata={"description": ", ".join(Status)})
    best_val_loss = fields.Float(attribute="val_loss", allow_none=True)
    best_val_accuracy = fields.Float(attribute="val_accuracy", allow_none=True)


class ArmSchema(Schema):
    """One of the compared specs."""

    name = fields.String(attribute="arm.name", metadata={"description": f"{BASE}, the name of a factor, or {ALL}"})
    patch = fields.List(
        fields.Nested(OperationSchema),
        attribute="arm.patch",
        metadata={"description": "the changes to the spec of the base (RFC 6902)"},
    )
    jobs = fields.List(fields.Nested(ArmRunSchema), attribute="runs")
    mean_val_loss = fields.Float(
        attribute="mean",
        allow_none=True,
        metadata={
            "description": "mean validation loss of the best epochs, in nats. It counts the jobs that succeeded and "
            "those that diverged after some epochs"
        },
    )


class ByImageSchema(Schema):
    """The effect image by image."""

    images = fields.Integer(metadata={"description": "number of different validation images over all seeds"})
    effect = fields.Float(attribute="loss", metadata={"description": "mean difference of the losses, in nats"})
    interval = fields.List(
        fields.Float(),
        metadata={
            "description": "[low, high] in nats, with the confidence of the interval over the seeds. It covers the "
            "choice of the images, not another seed"
        },
    )


class EffectSchema(Schema):
    """The effect of an arm on the validation loss."""

    name = fields.String(metadata={"description": "name of the arm"})
    seeds = fields.Integer(
        attribute="effect.pairs", metadata={"description": "number of seeds with a result of both the arm and the base"}
    )
    effect = fields.Float(
        attribute="effect.mean",
        allow_none=True,
        metadata={
            "description": "validation loss of the arm minus validation loss of the base, mean over these seeds, in "
            "nats; negative is better"
        },
    )
    relative_effect = fields.Float(
        attribute="effect.relative",
        allow_none=True,
        metadata={"description": "the effect divided by the base's mean loss under these seeds"},
    )
    interval = fields.List(
        fields.Float(),
        attribute="effect.interval",
        allow_none=True,
        metadata={
            "description": "[low, high] in nats: the confidence interval of the effect by Student's t over the pairs. "
            "All intervals of one ablation are right together with 95 % confidence: with m arms each has the "
            "confidence 1 - 0.05 / m (Bonferroni's correction). Null with fewer than 2 pairs"
        },
    )
    significant = fields.Boolean(
        attribute="effect.is_significant", metadata={"description": "true when the corrected interval excludes 0"}
    )
    verdict = Word(attribute="effect.verdict", metadata={"description": ", ".join(Verdict)})
    by_image = fields.Nested(
        ByImageSchema,
        allow_none=True,
        metadata={"description": "null until all jobs have ended, and if one whose result counts has no predictions"},
    )


class BestArmSchema(Schema):
    """The best arm."""

    arm = fields.String()
    mean_val_loss = fields.Float(attribute="mean")
    spec = fields.Raw(metadata={"type": "object", "description": "a spec that can be submitted"})
    is_better_than_base = fields.Boolean(metadata={"description": "true when the difference is significant"})
    words = fields.String()


class AblationEntrySchema(ExperimentEntrySchema):
    """An ablation in a list."""

    factors = fields.List(fields.String(), metadata={"description": "names of the factors"})
    links = fields.Function(lambda ablation: links(ablation.id), metadata=TEXT_BY_NAME)


class AblationSchema(AblationEntrySchema):
    """An ablation and its results so far."""

    spec = fields.Raw(metadata={"type": "object", "description": "the base, with every default filled in"})
    arms = fields.List(fields.Nested(ArmSchema))
    effects = fields.List(fields.Nested(EffectSchema))
    best = fields.Nested(
        BestArmSchema,
        allow_none=True,
        metadata={
            "description": "among the arms with a result under every seed and a significant improvement, the one with "
            "the lowest validation loss; without one, the base. Null until the base has all results"
        },
    )
    summary = fields.String(metadata={"description": "the results in one or two sentences"})


class AblationListSchema(Schema):
    """A page of ablations, newest first."""

    data = fields.List(fields.Nested(AblationEntrySchema))
    has_more = fields.Boolean()
    next_cursor = NextCursor()


def to_answer(conclusions: Conclusions, by_image: Mapping[str, ByImage]) -> SimpleNamespace:
    """The object that AblationSchema serializes; `by_image` has the effects of arms image by image."""
    ablation = conclusions.ablation
    effects = [
        {"name": name, "effect": effect, "by_image": by_image.get(name)} for name, effect in conclusions.effects.items()
    ]
    results = {
        "arms": conclusions.arms,
        "effects": effects,
        "best": conclusions.best,
        "summary": conclusions.summary,
        "status": ablation.status,
        "factors": ablation.factors,
    }
    return SimpleNamespace(**{**vars(ablation), **results})


def links(ablation_id: str) -> dict[str, str]:
    """The address of an ablation and of its cancellation."""
    return experiment_links("ablations", ablation_id)
