"""Advice knows what the family of a job has tried."""

from service.core.diagnosis import RunContext, Verdict
from service.core.diagnosis.advice import advise, cured
from service.core.diagnosis.patches import put
from service.core.records.builtin_datasets import CONTENTS_OF
from service.core.records.lineage import Ancestor, Family
from service.core.spec import JobSpec

SPEC = JobSpec.from_dict({"dataset": {"id": "cifar10"}, "model": {"arch": "cnn"}}).filled(1)
CHANGED = cured(SPEC, put("/augmentation/trivial_augment", True))


def advised(spec: JobSpec, verdict: Verdict, family: Family) -> list[str]:
    case = RunContext(spec, CONTENTS_OF["cifar10"], family=family)
    return [each.id for each in advise([verdict], case)]


def test_advice_does_not_undo_what_the_family_changed() -> None:
    assert "less_augmentation" in advised(CHANGED, Verdict.UNDERFITTING, Family())
    assert "less_augmentation" not in advised(CHANGED, Verdict.UNDERFITTING, Family((Ancestor(SPEC),)))


def test_advice_may_take_back_what_did_harm() -> None:
    worse = cured(CHANGED, put("/epochs", CHANGED.epochs + 1))
    assert "less_augmentation" in advised(worse, Verdict.UNDERFITTING, Family((Ancestor(SPEC, is_better=True),)))
    repeated = advised(CHANGED, Verdict.UNDERFITTING, Family((Ancestor(SPEC, is_better=True),)))
    assert "less_augmentation" not in repeated, "it would repeat the ancestor"


def test_what_did_not_help_comes_last() -> None:
    first, *others = advised(SPEC, Verdict.STILL_IMPROVING, Family())
    assert advised(SPEC, Verdict.STILL_IMPROVING, Family(changes={first: 0.02})) == [*others, first]
    assert advised(SPEC, Verdict.STILL_IMPROVING, Family(changes={first: -0.02})) == [first, *others]


def test_cures_of_rare_classes_may_raise_the_loss() -> None:
    before = advised(SPEC, Verdict.RARE_CLASSES_IGNORED, Family())
    assert advised(SPEC, Verdict.RARE_CLASSES_IGNORED, Family(changes={before[0]: 0.02})) == before


def test_the_reason_says_what_a_cure_did() -> None:
    case = RunContext(SPEC, CONTENTS_OF["cifar10"], family=Family(changes={"dropout": -0.0213}))
    (dropout,) = [each for each in advise([Verdict.OVERFITTING], case) if each.id == "dropout"]
    assert dropout.reason.endswith("A fork tried it: the best validation loss fell by 0.021.")
