"""Changes of a job's spec that make another job: by an advice, or by a patch of the client."""

from dataclasses import dataclass, replace
from typing import Any

from service.core.diagnosis.cures import CURES
from service.core.diagnosis.patches import Patch
from service.core.diagnosis.run_context import RunContext
from service.core.errors import Fault, Invalid
from service.core.spec import JobSpec, Torchvision
from service.core.spec.patch import patched, plain


@dataclass(frozen=True)
class Change:
    """A patch of a spec (RFC 6902), and the id of the advice that it comes from."""

    patch: Patch
    advice: str | None = None


def advised(case: RunContext, advice: str) -> Change:
    """The change of a spec by an advice. Raises Invalid if there is no such advice or it does not apply."""
    if advice not in CURES:
        raise Invalid([Fault("/advice", f"there is no advice {advice!r}", _possible(case))])
    patch, action = CURES[advice].change(case), CURES[advice].action
    if action:
        detail = f"{advice} needs no new training: POST to the job's {action} instead"
        raise Invalid([Fault("/advice", detail, _possible(case))])
    if not patch:
        why = "changes no option of the spec" if patch is not None else "is in the spec already, or does not apply"
        raise Invalid([Fault("/advice", f"{advice} {why}", _possible(case))])
    return Change(patch, advice)


def keeping_weights(change: Change, spec: JobSpec, job_id: str) -> Change:
    """The change of this job's spec by which its fork also starts from the best model of the job."""
    operations = [*change.patch, {"op": "add", "path": "/model/weights", "value": job_id}]
    if isinstance(spec.model, Torchvision) and spec.model.pretrained:
        operations.append({"op": "replace", "path": "/model/pretrained", "value": False})
    return replace(change, patch=operations)


def _possible(case: RunContext) -> str:
    return ", ".join(cure.id for cure in CURES.values() if cure.change(case))


def changed(spec: JobSpec, change: Change) -> Any:
    """The changed spec as plain data. Raises Invalid, pointing at the operation that cannot be applied."""
    try:
        return patched(plain(spec), change.patch)
    except Invalid as error:
        raise Invalid([replace(fault, pointer=f"/patch{fault.pointer}") for fault in error.faults]) from error
