"""From what a client asks for to a fit with everything resolved. Raises Invalid with every fault."""

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from jsonpointer import resolve_pointer

from service.core.diagnosis.effects import network_of
from service.core.errors import Fault, Invalid
from service.core.experiments.design import JobPlanner
from service.core.experiments.fits.learned import kept_before, learned_effects, order_of_cures
from service.core.experiments.fits.search import THE_BASE
from service.core.experiments.fits.space import automatic
from service.core.experiments.fits.starts import starting_points
from service.core.experiments.fits.trial_spec import trial_spec
from service.core.records.dataset import Contents
from service.core.records.fit import BASE, Fit, Trial
from service.core.records.fit_request import FitRequest, Range, Space
from service.core.records.plan import Plan
from service.core.spec import EarlyStopping, JobSpec
from service.core.spec.parts import Monitor
from service.core.spec.patch import patched, plain

TEST_FRACTION = 0.2  # held out from the start, unless the request says otherwise
SMALL = 1000  # validation images; with fewer, each repeat of a leader validates on another fold
SHARE_OF_BASE = 0.1  # of a budget of minutes, which the base may train at most
OF_THE_FIT = ("/dataset", "/seed", "/name", "/labels", "/webhook", "/early_stopping/monitor")  # not to be varied


@dataclass(frozen=True)
class Asked:
    """A request: the base spec and what its JSON says itself (`given`). One of `minutes` and `jobs` is set.

    `space` is None where the options and their ranges follow from the data and the network.
    """

    spec: JobSpec
    given: Mapping[str, Any]
    minutes: float | None
    jobs: int | None
    space: Space | None
    objective: Monitor
    seeds: int


@dataclass(frozen=True)
class Accepted:
    """A request with everything resolved, and the plan of its base."""

    request: FitRequest
    base: Plan


@dataclass(frozen=True)
class Acceptor:
    """Accepts fits. `read` makes a spec of unchecked plain data; it raises Invalid."""

    planner: JobPlanner
    read: Callable[[Any], JobSpec]

    def accept(self, tenant: str, asked: Asked, slots: int, earlier: Sequence[Fit] = ()) -> Accepted:
        """Resolve a request. `slots` is the number of jobs that the live workers train side by side, `earlier` are
        ended fits of the tenant, the newest first.
        """
        spec = _base(asked)
        faults = [*self.planner.faults(tenant, spec), *_of_fold(spec)]
        contents = self.planner.contents(tenant, spec.dataset.id)
        if faults or contents is None:
            raise Invalid([replace(fault, pointer=_where(fault.pointer)) for fault in faults])
        network, channels = network_of(spec), contents.shape[0]
        recipes = (*kept_before(earlier, network, channels), *starting_points(spec, contents))
        request = FitRequest(
            spec=spec,
            minutes=asked.minutes,
            jobs=asked.jobs,
            objective=asked.objective,
            seeds=asked.seeds,
            folds=_folds(spec, contents, self.planner.plan(tenant, spec)),
            space=automatic(spec, contents) if asked.space is None else self._checked(spec, asked.space),
            recipes=recipes if asked.space is None else (),
            slots=slots,
            channels=channels,
            keeps_epochs="epochs" in asked.given,
            cures=order_of_cures(learned_effects(earlier), network, channels),
        )
        return Accepted(request, self._planned(tenant, request))

    def _planned(self, tenant: str, request: FitRequest) -> Plan:
        """The plan of the base. Raises Invalid: its folds may need more images than the spec by itself."""
        return self.planner.plan(tenant, trial_spec(request, Trial(BASE, THE_BASE, request.spec.epochs)))

    def _checked(self, spec: JobSpec, space: Space) -> Space:
        """The space of a request. Raises Invalid unless each of its values alone is valid in the spec."""
        data = plain(spec)
        typed = {path: _as_in(data, path, values) for path, values in space.items()}
        faults = [fault for path, values in typed.items() for fault in self._faults(spec, path, values)]
        if faults:
            raise Invalid(faults)
        return typed

    def _faults(self, spec: JobSpec, path: str, values: Range) -> Iterator[Fault]:
        pointer = f"/space/{path.replace('~', '~0').replace('/', '~1')}"
        if path.startswith(OF_THE_FIT):
            yield Fault(pointer, "all trials of a fit share it", f"other options than {', '.join(OF_THE_FIT)}")
            return
        for value in values.ends:
            try:
                self.read(patched(plain(spec), [{"op": "replace", "path": path, "value": value}]))
            except Invalid as error:
                first = error.faults[0]
                yield Fault(pointer, f"{value!r}: {first.detail}", first.allowed)
                return


def _as_in(data: Any, path: str, values: Range) -> Range:
    """The range with whole numbers if the option has one in the spec."""
    value = resolve_pointer(data, path, None)
    is_whole = isinstance(value, int) and not values.choices and values.low == int(values.low)
    return replace(values, low=int(values.low), high=int(values.high)) if is_whole else values


def _base(asked: Asked) -> JobSpec:
    """The spec of the base: with the objective, a seed, a test part, and a limit of time."""
    spec = asked.spec
    dataset = spec.dataset
    if "test_fraction" not in asked.given.get("dataset", {}):
        dataset = replace(dataset, test_fraction=TEST_FRACTION)
    stopping = replace(spec.early_stopping or EarlyStopping(), monitor=asked.objective, mode=None)
    limit = spec.max_seconds
    if asked.minutes is not None:
        limit = min(limit or float("inf"), max(1.0, 60 * asked.minutes * SHARE_OF_BASE))
    seed = spec.seed if spec.seed is not None else secrets.randbits(32)
    return replace(spec, dataset=dataset, early_stopping=stopping, max_seconds=limit, seed=seed).filled(seed)


def _folds(spec: JobSpec, contents: Contents, planned: Plan) -> int | None:
    """The number of folds, None for a large validation part or one that comes with the set."""
    if "validation" in (contents.parts or {}) or contents.samples * spec.dataset.val_fraction >= SMALL:
        return None
    fewest = min(contents.samples_per_class)
    folds = round(1 / spec.dataset.val_fraction)
    return folds if fewest > folds else None


def _of_fold(spec: JobSpec) -> Iterator[Fault]:
    if spec.dataset.fold is not None:
        yield Fault("/dataset/fold", "a fit chooses the folds of its trials", "null")


def _where(pointer: str) -> str:
    """The pointer into the request of a pointer into the spec."""
    return pointer if pointer.startswith("/dataset") else f"/spec{pointer}"
