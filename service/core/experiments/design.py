"""The design of an ablation: from the names of factors to arms, and from arms and seeds to jobs."""

import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from service.core.diagnosis.cures import CURES
from service.core.diagnosis.run_context import RunContext
from service.core.errors import Fault, Invalid
from service.core.records.ablation import ALL, BASE, Arm, Design
from service.core.records.dataset import Contents
from service.core.records.plan import Plan
from service.core.spec import JobSpec
from service.core.spec.diff import essential
from service.core.spec.parts import LARGEST_SEED
from service.core.spec.patch import Operations, patched, plain

MOST_FACTORS, MOST_SEEDS = 8, 20  # with the base and all together: 200 jobs
SEEDS = LARGEST_SEED + 1  # seeds are 0 to LARGEST_SEED
OF_ONE_FACTOR = 10  # faults reported for one factor, at most


@dataclass(frozen=True)
class Factor:
    """A change whose effect is to be measured: a cure by its id, or a patch under a name chosen by the client."""

    name: str
    patch: Operations | None = None


class JobPlanner(Protocol):
    """Checks and plans the jobs of a tenant without storing anything."""

    def faults(self, tenant: str, spec: JobSpec) -> tuple[Fault, ...]:
        """Every fault that only the whole spec shows."""

    def plan(self, tenant: str, spec: JobSpec) -> Plan:
        """The plan of a job. Raises Invalid with every fault."""

    def contents(self, tenant: str, dataset_id: str) -> Contents | None:
        """The contents of a data set, None if the tenant cannot train on it."""


@dataclass(frozen=True)
class Designer:
    """Designs ablations. `read` makes a spec of unchecked plain data; it raises Invalid."""

    planner: JobPlanner
    read: Callable[[Any], JobSpec]

    def design(self, tenant: str, spec: JobSpec, factors: Sequence[Factor], seeds: int) -> Design:
        """The base, each factor alone, and all factors together if there are several, each under `seeds` seeds.

        Raises Invalid with every fault of the spec and of the factors.
        """
        of_base = self.planner.faults(tenant, spec)
        faults = [replace(fault, pointer=f"/spec{fault.pointer}") for fault in of_base]
        base, case = _Base(tenant, spec, of_base), RunContext(spec, self.planner.contents(tenant, spec.dataset.id))
        arms, specs = [Arm(BASE, [])], {BASE: spec}
        for index, factor in enumerate(factors):
            try:
                arm = Arm(_name(factor, factors[:index]), _patch(factor, case))
                specs[arm.name] = self._changed(base, arm.patch)
                arms.append(arm)
            except Invalid as error:
                faults += [replace(fault, pointer=f"/factors/{index}") for fault in error.faults]
        if len(arms) == 1 + len(factors) and len(factors) > 1:
            try:
                arms.append(Arm(ALL, [operation for arm in arms for operation in arm.patch]))
                specs[ALL] = self._changed(base, arms[-1].patch)
                faults += _lost(plain(spec), arms[1:-1])
            except Invalid as error:
                details = [f"all together: {fault.detail}" for fault in error.faults]
                faults += [Fault("/factors", detail, "factors that can be combined") for detail in details]
        if faults:
            raise Invalid(faults)
        drawn = drawn_seeds(spec.seed, seeds)
        plans = ((arm, self.planner.plan(tenant, replace(specs[arm.name], seed=s))) for s in drawn for arm in arms)
        return Design(spec, tuple(arms), drawn, tuple(plans))

    def _changed(self, base: "_Base", patch: Operations) -> JobSpec:
        """The base's spec after a patch. Raises Invalid if it cannot be run or compared with the base."""
        data = patched(plain(base.spec), patch)
        try:
            spec = self.read(data)
        except Invalid as error:
            raise Invalid([_through(fault) for fault in error.faults[:OF_ONE_FACTOR]]) from error
        if essential(spec) == essential(base.spec):
            raise Invalid([Fault("", "the patch has no effect on training", "a patch that changes the training")])
        for name, now, then in (
            ("/seed", spec.seed, base.spec.seed),
            ("/dataset/id", spec.dataset.id, base.spec.dataset.id),
            ("/dataset/split_seed", spec.dataset.split_seed, base.spec.dataset.split_seed),
        ):
            if now != then:
                detail = f"it changes {name}, which all arms must share with the base"
                raise Invalid([Fault("", detail, f"a patch that leaves {name} alone")])
        new = [fault for fault in self.planner.faults(base.tenant, spec) if fault not in base.faults]
        if new:
            raise Invalid([_through(fault) for fault in new[:OF_ONE_FACTOR]])
        if not base.faults and self._split(base.tenant, spec) != self._split(base.tenant, base.spec):
            detail = "it changes the validation images, so its losses cannot be compared with those of the base"
            raise Invalid([Fault("", detail, "a patch that leaves the split alone")])
        return spec

    def _split(self, tenant: str, spec: JobSpec) -> str | None:
        return self.planner.plan(tenant, replace(spec, seed=0)).splits.validation


@dataclass(frozen=True)
class _Base:
    tenant: str
    spec: JobSpec
    faults: tuple[Fault, ...]


def _name(factor: Factor, others: Sequence[Factor]) -> str:
    if factor.name in (BASE, ALL):
        detail = f"{factor.name!r} is the name of another arm"
        raise Invalid([Fault("", detail, f"any name but {BASE} and {ALL}")])
    if factor.name in [other.name for other in others]:
        raise Invalid([Fault("", f"{factor.name!r} is used twice", "a different name for each factor")])
    return factor.name


def _patch(factor: Factor, case: RunContext) -> Operations:
    if factor.patch is not None:
        return factor.patch
    if patch := CURES[factor.name].change(case):
        return patch
    detail = f"{factor.name} does not apply: the spec has it already, or its model cannot use it"
    fitting = ", ".join(cure.id for cure in CURES.values() if cure.change(case))
    raise Invalid([Fault("", detail, f"{fitting}, or a patch of your own")])


def _through(fault: Fault) -> Fault:
    return replace(fault, detail=f"with it, {fault.pointer or '/'}: {fault.detail}")


def _lost(base: dict[str, Any], arms: Sequence[Arm]) -> Iterator[Fault]:
    """A fault for each arm whose patch has no effect when the others are applied too."""

    def without(left_out: Arm | None) -> Any:
        return patched(base, [operation for arm in arms if arm is not left_out for operation in arm.patch])

    whole = without(None)
    for arm in arms:
        try:
            is_lost = without(arm) == whole
        except Invalid:  # the others depend on it
            continue
        if is_lost:
            detail = f"{arm.name!r} has no effect together with the others: they set the same options"
            yield Fault("/factors", detail, "factors that can be combined; test the others in a separate ablation")


def drawn_seeds(first: int | None, count: int) -> tuple[int, ...]:
    """`count` seeds from that of the spec on, or random ones if the spec has none."""
    if first is None:
        return tuple(secrets.SystemRandom().sample(range(SEEDS), count))
    return tuple((first + i) % SEEDS for i in range(count))
