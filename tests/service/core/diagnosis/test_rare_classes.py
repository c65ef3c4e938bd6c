"""The note on classes with few images that the model ignores."""

import pytest
from scipy.stats import fisher_exact

from service.core.diagnosis import RunContext, Verdict, diagnose
from service.core.diagnosis.rules_classes import exact_p_value, standard_errors
from service.core.records.facts import RareClasses
from service.core.spec import JobSpec
from tests.service.api.runs import history
from tests.service.core.diagnosis.rare import facts, rare_note


def advice(**regularization: str) -> list[str]:
    spec = JobSpec.from_dict({"dataset": {"id": "digits"}, "regularization": regularization}).filled(1)
    case = RunContext(spec)
    given = diagnose(history("healthy"), case, facts(50, 95), "max_epochs").advice
    return [each.id for each in given if each.verdict is Verdict.RARE_CLASSES_IGNORED]


def test_ignored_rare_classes_are_a_note_with_each_recall() -> None:
    note = rare_note(50, 95)
    assert note is not None
    assert "50 of 100 validation images of rare classes correctly, and 95.0% of the others" in note.summary
    assert "The worst class is 'lynx' with 20 of 40" in note.summary
    recalls = [(each.value, each.meaning) for each in note.evidence if each.name == "class_recall"]
    assert recalls[0] == (0.5, "of lynx: 20 of 40 validation images, with 11 training images")
    assert note.confidence > 0.8


@pytest.mark.parametrize(("right", "other_right"), [(90, 95), (95, 90), (98, 100), (80, 91), (100, 100), (30, 30)])
def test_small_and_opposite_differences_are_no_note(right: int, other_right: int) -> None:
    assert (rare_note(right, other_right) is not None) == (right == 80)


def test_ten_of_a_hundred_is_the_least_difference() -> None:
    assert rare_note(85, 94) is None
    assert rare_note(83, 94) is not None


def test_one_wrong_image_of_a_rare_class_is_chance() -> None:
    assert standard_errors(RareClasses(1, 0, 100, 95, ())) < 2
    assert standard_errors(RareClasses(1, 0, 100, 100, ())) > 2, "the only mistake of 101 images"
    assert standard_errors(RareClasses(0, 0, 0, 0, ())) == standard_errors(RareClasses(9, 9, 9, 0, ())) == 0
    assert 30 < standard_errors(RareClasses(20_000, 0, 20_000, 20_000, ())) < 40


@pytest.mark.parametrize("counts", [(9, 3, 50, 40), (100, 83, 100, 94), (5, 5, 80, 60), (30, 0, 70, 1), (3, 2, 2, 0)])
def test_chance_is_that_of_fishers_exact_test(counts: tuple[int, int, int, int]) -> None:
    images, right, others, other_right = counts
    table = [[right, images - right], [other_right, others - other_right]]
    expected = fisher_exact(table, alternative="less").pvalue
    assert exact_p_value(RareClasses(*counts, ())) == pytest.approx(expected, rel=1e-9)


def test_the_cures_balance_the_classes_once() -> None:
    assert advice()[:2] == ["logit_adjusted", "class_weights"]
    assert advice(class_weights="balanced") == ["collect"]
    assert advice(loss="focal") == ["collect"]
