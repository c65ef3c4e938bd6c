"""The note on classes with few images that the model ignores."""

import pytest

from service.core.diagnosis import RunContext, Verdict, diagnose
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
    assert "50 of 100 validation images of rare classes right, and 95.0% of the others" in note.summary
    assert "Worst is 'lynx' with 20 of 40" in note.summary
    recalls = [(each.value, each.meaning) for each in note.evidence if each.name == "class_recall"]
    assert recalls[0] == (0.5, "of lynx: 20 of 40 validation images, with 11 training images")
    assert note.confidence > 0.8


@pytest.mark.parametrize(("right", "other_right"), [(90, 95), (95, 90), (98, 100), (80, 91), (100, 100), (30, 30)])
def test_small_and_opposite_differences_are_no_note(right: int, other_right: int) -> None:
    assert (rare_note(right, other_right) is not None) == (right == 80)


def test_ten_of_a_hundred_is_the_least_difference() -> None:
    assert rare_note(85, 94) is None
    assert rare_note(83, 94) is not None


def test_the_cures_balance_the_classes_once() -> None:
    assert advice()[:2] == ["logit_adjusted", "class_weights"]
    assert advice(class_weights="balanced") == ["collect"]
    assert advice(loss="focal") == ["collect"]
