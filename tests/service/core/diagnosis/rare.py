"""A healthy run whose best model may ignore rare classes."""

from service.core.diagnosis import Note, RunContext, Verdict, diagnose
from service.core.records.facts import ClassRecall, Facts, RareClasses
from tests.service.api.runs import history


def facts(right: int, other_right: int) -> Facts:
    """The best model is right on this many of 100 images of rare classes, and of 100 of the others."""
    classes = (ClassRecall("lynx", 11, 40, right - 30), ClassRecall("wolf", 12, 60, 30))
    return Facts({"train": 800, "validation": 200}, 2.3, 0.1, rare=RareClasses(100, right, 100, other_right, classes))


def rare_note(right: int, other_right: int, case: RunContext | None = None) -> Note | None:
    """The note on rare classes, if there is one."""
    diagnosis = diagnose(history("healthy"), case, facts(right, other_right), "max_epochs")
    assert diagnosis.verdict is not Verdict.RARE_CLASSES_IGNORED
    return next((note for note in diagnosis.notes if note.verdict is Verdict.RARE_CLASSES_IGNORED), None)
