"""Ablations as JSON."""

from types import SimpleNamespace
from typing import Any

from marshmallow import Schema, fields, post_load, validate

from service.core.diagnosis.cures import CURES
from service.core.experiments.conclusions import Conclusions
from service.core.experiments.design import MOST_FACTORS, MOST_SEEDS, Factor
from service.core.experiments.statistics import Verdict
from service.core.records.ablation import ALL, BASE, AblationStatus
from service.core.records.job import Status
from service.core.spec import JobSpec
from service.schemas.fields import ShortList, Text, WordOrObject
from service.schemas.jobs import Timestamp, Word
from service.schemas.patches import Patch
from service.schemas.spec import JobSpecSchema

OPERATIONS = ("add", "remove", "replace", "move", "copy", "test")
LEAST_SEEDS, SEEDS = 2, 3


class FactorSchema(Schema):
    """A factor of your own."""

    name = Text(
        required=True, validate=validate.Length(1, 50, error="Must have 1 to 50 characters."),
        metadata={"description": f"not {BASE} or {ALL}", "allowed": "text of 1 to 50 characters"},
    )  # fmt: skip
    patch = Patch("what it changes of the spec, which has every default filled in", required=True)

    @post_load
    def _build(self, data: dict[str, Any], **kwargs: Any) -> Factor:
        return Factor(**data)


class AblationRequestSchema(Schema):
    """The base, each factor alone and all of them are run under each seed, as ordinary jobs."""

    spec = fields.Nested(
        JobSpecSchema, required=True, metadata={"description": "the base", "allowed": "an object: a job's spec"}
    )
    factors = ShortList(
        WordOrObject(
            tuple(CURES), FactorSchema(),
            metadata={"allowed": f"{', '.join(CURES)}, or an object with a name and a patch"},
        ), 1, MOST_FACTORS, required=True,
        metadata={
            "description": "what to know the effects of: regularizers and other advice by name, or your own patches",
            "allowed": f"a list of 1 to {MOST_FACTORS} names or objects with a name and a patch",
        },
    )  # fmt: skip
    seeds = fields.Integer(
        strict=True, load_default=SEEDS,
        validate=validate.Range(LEAST_SEEDS, MOST_SEEDS, error=f"Must be {LEAST_SEEDS} to {MOST_SEEDS}."),
        metadata={
            "description": "runs of each arm: the more, the smaller the effects that can be told from chance. They "
            "count up from the spec's seed; without one they are drawn",
            "allowed": f"a whole number, {LEAST_SEEDS} to {MOST_SEEDS}",
        },
    )  # fmt: skip

    @post_load
    def _factors(self, data: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        return data | {"factors": [Factor(given) if isinstance(given, str) else given for given in data["factors"]]}

    @staticmethod
    def partial_spec(valid: Any) -> JobSpec | None:
        """The spec that the valid values of a request make; None without a data set."""
        spec = valid.get("spec") if isinstance(valid, dict) else None
        return spec if isinstance(spec, JobSpec) else JobSpecSchema.partial_spec(spec)


class ArmRunSchema(Schema):
    """A job of an arm."""

    id = fields.String()
    seed = fields.Integer()
    status = Word(metadata={"description": ", ".join(Status)})
    best_val_loss = fields.Float(attribute="val_loss", allow_none=True)
    best_val_accuracy = fields.Float(attribute="val_accuracy", allow_none=True)


class ArmSchema(Schema):
    """One of the specs that are compared."""

    name = fields.String(attribute="arm.name", metadata={"description": f"{BASE}, a factor's name, or {ALL}"})
    patch = fields.List(
        fields.Dict(keys=fields.String()), attribute="arm.patch",
        metadata={"description": "what it changes of the base's spec (RFC 6902)"},
    )  # fmt: skip
    jobs = fields.List(fields.Nested(ArmRunSchema), attribute="runs")
    mean_val_loss = fields.Float(
        attribute="mean", allow_none=True,
        metadata={
            "description": "nats, mean over the jobs that came to their own end, of the validation loss in the best "
            "epoch: those that succeeded, and those that diverged after some epochs"
        },
    )  # fmt: skip


class EffectSchema(Schema):
    """What an arm does to the validation loss."""

    name = fields.String(metadata={"description": "the arm's"})
    seeds = fields.Integer(
        attribute="effect.pairs", metadata={"description": "under how many seeds both it and the base have a result"}
    )
    effect = fields.Float(
        attribute="effect.mean", allow_none=True,
        metadata={"description": "nats: the arm's validation loss minus the base's, mean over these seeds; negative "
            "is better"},
    )  # fmt: skip
    relative_effect = fields.Float(
        attribute="effect.relative", allow_none=True,
        metadata={"description": "the effect as a share of the base's mean loss under these seeds"},
    )  # fmt: skip
    interval = fields.List(
        fields.Float(), attribute="effect.interval", allow_none=True,
        metadata={
            "description": "[low, high], nats: the confidence interval of the effect by Student's t over the pairs. "
            "All intervals of the ablation together are right with 95 % confidence: with m arms compared, each is one "
            "of 1 - 0.05 / m (Bonferroni's correction). Null with fewer than 2 pairs"
        },
    )  # fmt: skip
    significant = fields.Boolean(
        attribute="effect.is_significant", metadata={"description": "whether the corrected interval leaves out 0"}
    )
    verdict = Word(attribute="effect.verdict", metadata={"description": ", ".join(Verdict)})


class BestArmSchema(Schema):
    """The arm to go on with."""

    arm = fields.String()
    mean_val_loss = fields.Float(attribute="mean")
    spec = fields.Raw(metadata={"type": "object", "description": "ready to be sent as a job"})
    is_better_than_base = fields.Boolean(metadata={"description": "significantly"})
    words = fields.String()


class AblationEntrySchema(Schema):
    """An ablation in a list."""

    id = fields.String()
    created_at = Timestamp()
    status = Word(metadata={"description": f"{', '.join(AblationStatus)}; running until all of its jobs have ended"})
    jobs = fields.Dict(
        keys=fields.String(), values=fields.Integer(), attribute="counts",
        metadata={"description": "how many of its jobs have which status"},
    )  # fmt: skip
    seeds = fields.List(fields.Integer())
    factors = fields.List(fields.String(), metadata={"description": "their names"})
    links = fields.Function(lambda found: links(found.id))


class AblationSchema(AblationEntrySchema):
    """An ablation and what its jobs say so far."""

    spec = fields.Raw(metadata={"type": "object", "description": "the base, every default filled"})
    arms = fields.List(fields.Nested(ArmSchema))
    effects = fields.List(fields.Nested(EffectSchema))
    best = fields.Nested(
        BestArmSchema, allow_none=True,
        metadata={
            "description": "of the arms with a result under every seed, the one of lowest validation loss that is "
            "significantly better than the base; the base where none is. Null until the base has all results"
        },
    )  # fmt: skip
    summary = fields.String(metadata={"description": "all of it in a sentence or two"})


class AblationListSchema(Schema):
    """A page of ablations, newest first."""

    data = fields.List(fields.Nested(AblationEntrySchema))
    has_more = fields.Boolean()
    next_cursor = fields.String(allow_none=True, metadata={"description": "pass it as `after` for the next page"})


def told(found: Conclusions) -> SimpleNamespace:
    """What AblationSchema shows."""
    ablation = found.ablation
    effects = [{"name": name, "effect": effect} for name, effect in found.effects.items()]
    concluded = {"arms": found.arms, "effects": effects, "best": found.best, "summary": found.summary}
    return SimpleNamespace(**{**vars(ablation), **concluded}, status=ablation.status, factors=ablation.factors)


def links(ablation_id: str) -> dict[str, str]:
    """Where to go from an ablation."""
    base = f"/v1/ablations/{ablation_id}"
    return {"self": base, "cancel": f"{base}/cancel"}
