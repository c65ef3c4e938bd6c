"""Whether a patch leads back to what the family of a job has tried."""

from typing import Any

from jsonpointer import resolve_pointer

from service.core.records.lineage import Family
from service.core.spec import JobSpec
from service.core.spec.diff import essential
from service.core.spec.patch import Operations, patched, plain


def would_undo(family: Family, spec: JobSpec, patch: Operations) -> bool:
    """Whether a patch of a spec makes the spec of an ancestor, or moves an option towards the value of one.

    A value of an ancestor that did better is not ruled out: there, the change since then did harm.
    """
    now, then = plain(spec), patched(plain(spec), patch)
    result = essential(JobSpec.from_dict(then))
    for ancestor in family.ancestors if patch else ():
        if essential(ancestor.spec) == result:
            return True
        before = plain(ancestor.spec)
        paths = () if ancestor.is_better else [step["path"] for step in patch]
        if any(_is_back(*(resolve_pointer(values, path, None) for values in (before, now, then))) for path in paths):
            return True
    return False


def _is_back(before: Any, now: Any, then: Any) -> bool:
    """Whether a value goes back: rates (float) in the direction of the one before, others exactly to it."""
    if isinstance(before, float) and isinstance(now, float) and isinstance(then, float):
        return (before - now) * (then - now) > 0
    return bool(before == then and before != now)
