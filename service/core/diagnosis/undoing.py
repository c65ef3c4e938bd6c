"""Whether a patch leads back to what the family of a job has tried."""

from collections.abc import Callable
from typing import Any

from jsonpointer import resolve_pointer

from service.core.records.lineage import Family
from service.core.spec import JobSpec
from service.core.spec.diff import essential
from service.core.spec.patch import Operations, patched, plain


def undoing(family: Family, spec: JobSpec) -> Callable[[Operations], bool]:
    """A function that says whether a patch of a spec makes the spec of an ancestor, or moves an option towards the
    value of one.

    A value of an ancestor that did better is not ruled out: there, the change since then did harm.
    """
    now, made = plain(spec), [essential(ancestor.spec) for ancestor in family.ancestors]
    to_avoid = [plain(ancestor.spec) for ancestor in family.ancestors if not ancestor.is_better]

    def would_undo(patch: Operations) -> bool:
        if not patch or not made:
            return False
        then = patched(now, patch)
        if essential(JobSpec.from_dict(then)) in made:
            return True
        return any(
            _is_back(*(resolve_pointer(values, step["path"], None) for values in (before, now, then)))
            for before in to_avoid
            for step in patch
        )

    return would_undo


def _is_back(before: Any, now: Any, then: Any) -> bool:
    """Whether a value goes back: rates (float) in the direction of the one before, others exactly to it."""
    if isinstance(before, float) and isinstance(now, float) and isinstance(then, float):
        return (before - now) * (then - now) > 0
    return bool(before == then and before != now)
