"""From what a client asks for to a fit with everything resolved. Raises Invalid with every fault."""

import math
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from jsonpointer import escape, resolve_pointer

from service.core.errors import Fault, Invalid
from service.core.experiments.design import JobPlanner
from service.core.experiments.epoch_time import arithmetic_seconds
from service.core.experiments.fits.learned import kept_before, tallies
from service.core.experiments.fits.lengths import SHARE_OF_SEARCH, USUAL_EPOCHS, WHOLE_TRIALS
from service.core.experiments.fits.search import THE_BASE
from service.core.experiments.fits.space import CHANNELS, automatic
from service.core.experiments.fits.starts import resets, starting_points
from service.core.experiments.fits.trial_spec import trial_spec
from service.core.experiments.recipes import DataFacts
from service.core.records.dataset import Contents
from service.core.records.fit import BASE, Trial
from service.core.records.fit_request import VARIED, Candidate, FitRequest, Range, Space
from service.core.records.lessons import Lessons
from service.core.records.plan import Plan
from service.core.spec import EarlyStopping, JobSpec
from service.core.spec.parts import Monitor
from service.core.spec.patch import Operation, Operations, is_pointer, patched, plain
from service.core.text import MINUTE

TEST_FRACTION = 0.2  # held out from the start, unless the request says otherwise
SMALL = 1000  # validation images; with fewer, each repeat of a leader validates on another fold
SEEDS = 3  # trainings of a leader; with minutes more where they validate on fewer than IMAGES_OF_PROOF further images
IMAGES_OF_PROOF = 600
SHARE_OF_BASE = 0.1  # of a budget of minutes, which the base may train at most
SHARE_OF_TRIAL = 1 / 3  # of the time of the search, which a usual trial may take at most
NARROWING = 2  # by which the channels of the recipe are divided where its trials would take too long
SHARED_BY_TRIALS = ("/dataset", "/seed", "/name", "/labels", "/webhook", "/early_stopping/monitor")  # not to be varied
NO_POINTER = ("is not a JSON pointer (RFC 6901)", "the pointer of an option in the spec, as /optimizer/lr")


@dataclass(frozen=True)
class Asked:
    """A request: the base spec and what its JSON says itself (`given`). One of `minutes` and `jobs` is set.

    `space` is None where the options and their ranges follow from the data and the network, `seeds` where the number of
    trainings of a leader follows from the data.
    """

    spec: JobSpec
    given: Mapping[str, Any]
    minutes: float | None
    jobs: int | None
    space: Space | None
    objective: Monitor
    seeds: int | None
    ensemble: bool


@dataclass(frozen=True)
class Accepted:
    """A request with everything resolved, the plan of its base, and the contents of its data set."""

    request: FitRequest
    base: Plan
    contents: Contents


@dataclass(frozen=True)
class Acceptor:
    """Accepts fits. `read` makes a spec of unchecked plain data; it raises Invalid."""

    planner: JobPlanner
    read: Callable[[Any], JobSpec]

    def accept(
        self,
        tenant: str,
        asked: Asked,
        slots: int,
        lessons: Sequence[Lessons] = (),
        is_on_gpu: Callable[[JobSpec], bool] = lambda spec: False,
    ) -> Accepted:
        """Resolve a request. `slots` is the number of jobs that the live workers train side by side, `lessons` are
        those of the tenant's fits, the newest first. `is_on_gpu`: whether a spec is trained on a GPU.
        """
        spec = _base(asked)
        faults = [*self.planner.faults(tenant, spec), *_of_fit(asked)]
        contents = self.planner.contents(tenant, spec.dataset.id)
        if faults or contents is None:
            raise Invalid([replace(fault, pointer=_where(fault.pointer)) for fault in faults])
        channels = contents.shape[0]
        recipes: tuple[Candidate, ...] = ()
        if asked.space is not None:
            space = self._checked(tenant, spec, asked.space)
        else:
            space = self._usable(tenant, spec, contents)
            starts = starting_points(spec, contents)
            if asked.minutes and not is_on_gpu(spec) and CHANNELS in space:
                seconds = MINUTE * asked.minutes * SHARE_OF_SEARCH * slots
                if self._seconds(tenant, spec, contents, _channels(starts[0])) > seconds / WHOLE_TRIALS:
                    starts = starting_points(spec, contents, NARROWING)
                space = self._affordable(tenant, spec, contents, space, starts[0], seconds * SHARE_OF_TRIAL)
            known = (*kept_before(lessons, spec, channels, asked.objective), *starts)
            fitting = (self._fitting(tenant, spec, each) for each in known)
            recipes = tuple(each for each in fitting if self._runs(tenant, spec, each.patch))
        folds = _folds(spec, contents)
        request = FitRequest(
            spec=spec,
            minutes=asked.minutes,
            jobs=asked.jobs,
            objective=asked.objective,
            seeds=asked.seeds or (_seeds(spec, contents, folds) if asked.minutes else SEEDS),
            ensemble=asked.ensemble,
            folds=folds,
            space=space,
            recipes=recipes,
            slots=slots,
            base_seconds=_base_seconds(asked),
            channels=channels,
            keeps_epochs="epochs" in asked.given,
            cost=self._cost(tenant, spec, recipes),
            cures={cure: tally.failing for cure, tally in tallies(lessons, spec, channels).items()},
        )
        return Accepted(request, self._planned(tenant, request), contents)

    def _planned(self, tenant: str, request: FitRequest) -> Plan:
        """The plan of the base. Raises Invalid: its folds may need more images than the spec by itself."""
        return self.planner.plan(tenant, trial_spec(request, Trial(BASE, THE_BASE, request.spec.epochs)))

    def _cost(self, tenant: str, spec: JobSpec, recipes: Sequence[Candidate]) -> float:
        """The time of an epoch of the first recipe beside one of the base, by their work."""
        of_base = self.planner.plan(tenant, spec).work
        if not recipes:
            return VARIED
        of_recipe = self.planner.plan(tenant, self.read(patched(plain(spec), recipes[0].patch))).work
        return VARIED * max(1.0, of_recipe / of_base)

    def _usable(self, tenant: str, spec: JobSpec, contents: Contents) -> Space:
        """The automatic space without the values that alone contradict the spec."""
        space: dict[str, Range] = {}
        for path, values in automatic(spec, contents).items():
            runs = [self._runs(tenant, spec, [*resets(spec), _replaced(path, value)]) for value in values.ends]
            if values.choices:
                left = tuple(choice for choice, is_valid in zip(values.choices, runs, strict=True) if is_valid)
                space |= {path: replace(values, choices=left)} if left else {}
            elif all(runs):
                space[path] = values
        return space

    def _affordable(
        self, tenant: str, spec: JobSpec, contents: Contents, space: Space, recipe: Candidate, seconds: float
    ) -> Space:
        """The space without networks of which a usual trial takes more than these seconds on a CPU, by arithmetic. That
        of the recipe stays, and what costs no more.
        """
        costs = [self._seconds(tenant, spec, contents, choice) for choice in space[CHANNELS].choices]
        of_recipe = self._seconds(tenant, spec, contents, _channels(recipe))
        most = max(seconds, min(costs), of_recipe if math.isfinite(of_recipe) else 0.0)
        left = tuple(choice for choice, cost in zip(space[CHANNELS].choices, costs, strict=True) if cost <= most)
        return {**space, CHANNELS: replace(space[CHANNELS], choices=left)}

    def _seconds(self, tenant: str, spec: JobSpec, contents: Contents, channels: Sequence[int]) -> float:
        """The time of a usual trial with these channels on one thread of a CPU, by arithmetic; infinite if the base
        cannot have them.
        """
        network = self.read(patched(plain(spec), [*resets(spec), _replaced(CHANNELS, list(channels))]))
        try:
            work = self.planner.plan(tenant, network).work
        except Invalid:
            return math.inf
        return USUAL_EPOCHS * arithmetic_seconds(work, DataFacts.of(contents, spec.dataset).images)

    def _fitting(self, tenant: str, spec: JobSpec, recipe: Candidate) -> Candidate:
        """The recipe without the single changes that contradict the spec."""
        start = resets(spec)
        rest = (step for step in recipe.patch if step not in start)
        return replace(recipe, patch=(*start, *(step for step in rest if self._runs(tenant, spec, [*start, step]))))

    def _runs(self, tenant: str, spec: JobSpec, patch: Operations) -> bool:
        """Whether the patched spec can be run."""
        return not self._faults_of(tenant, spec, patch)

    def _faults_of(self, tenant: str, spec: JobSpec, patch: Operations) -> Sequence[Fault]:
        """The faults of the patched spec."""
        try:
            return self.planner.faults(tenant, self.read(patched(plain(spec), patch)))
        except Invalid as error:
            return error.faults

    def _checked(self, tenant: str, spec: JobSpec, space: Space) -> Space:
        """The space of a request. Raises Invalid unless each of its values alone is valid in the spec."""
        if unreadable := [Fault(_of_option(path), *NO_POINTER) for path in space if not is_pointer(path)]:
            raise Invalid(unreadable)
        data = plain(spec)
        typed = {path: _as_in(data, path, values) for path, values in space.items()}
        faults = [fault for path, values in typed.items() for fault in self._faults(tenant, spec, path, values)]
        if faults:
            raise Invalid(faults)
        return typed

    def _faults(self, tenant: str, spec: JobSpec, path: str, values: Range) -> Iterator[Fault]:
        pointer = _of_option(path)
        if any(path == each or path.startswith(f"{each}/") or each.startswith(path) for each in SHARED_BY_TRIALS):
            yield Fault(pointer, "all trials of a fit share it", f"other options than {', '.join(SHARED_BY_TRIALS)}")
            return
        for value in values.ends:
            if found := self._faults_of(tenant, spec, [_replaced(path, value)]):
                yield Fault(pointer, f"{value!r}: {found[0].detail}", found[0].allowed)
                return


def _channels(recipe: Candidate) -> Sequence[int]:
    """The channels of a recipe for a network of convolutions."""
    found: Sequence[int] = next(step["value"] for step in recipe.patch if step["path"] == CHANNELS)
    return found


def _as_in(data: Any, path: str, values: Range) -> Range:
    """The range with whole numbers if the option has one in the spec."""
    value = resolve_pointer(data, path, None)
    if isinstance(value, float):
        return replace(values, choices=tuple(float(each) if type(each) is int else each for each in values.choices))
    is_whole = type(value) is int and not values.choices and values.low == int(values.low)
    return replace(values, low=int(values.low), high=int(values.high)) if is_whole else values


def _replaced(path: str, value: Any) -> Operation:
    return {"op": "replace", "path": path, "value": value}


def _base(asked: Asked) -> JobSpec:
    """The spec of the base: with the objective, a seed and a test part."""
    spec = asked.spec
    dataset = spec.dataset
    if "test_fraction" not in asked.given.get("dataset", {}):
        dataset = replace(dataset, test_fraction=TEST_FRACTION)
    stopping = replace(spec.early_stopping or EarlyStopping(), monitor=asked.objective, mode=None)
    # One split for all fits of a data set: what an earlier one has kept was not chosen on the test images of this one.
    seed = spec.seed if spec.seed is not None else zlib.crc32(dataset.id.encode())
    return replace(spec, dataset=dataset, early_stopping=stopping, seed=seed).filled(seed)


def _base_seconds(asked: Asked) -> float | None:
    """The limit of the base's time: that of the spec, and a share of a budget of minutes."""
    if asked.minutes is None:
        return asked.spec.max_seconds
    share = max(1.0, MINUTE * asked.minutes * SHARE_OF_BASE)
    return min(share, asked.spec.max_seconds or share)


def _folds(spec: JobSpec, contents: Contents) -> int | None:
    """The number of folds, None for a large validation part or one that comes with the set."""
    if "validation" in (contents.parts or {}) or contents.samples * spec.dataset.val_fraction >= SMALL:
        return None
    fewest = min(contents.samples_per_class)
    folds = round(1 / spec.dataset.val_fraction)
    return folds if fewest > folds else None


def _seeds(spec: JobSpec, contents: Contents, folds: int | None) -> int:
    """The number of trainings of a leader: those on further folds validate on enough images, if there are so many."""
    if folds is None:
        return SEEDS
    of_fold = contents.samples * (1 - spec.dataset.test_fraction) / folds
    return max(SEEDS, min(folds, 1 + math.ceil(IMAGES_OF_PROOF / of_fold)))


def _of_fit(asked: Asked) -> Iterator[Fault]:
    """Options of the base that the fit itself decides."""
    if asked.spec.dataset.fold is not None:
        yield Fault("/dataset/fold", "a fit chooses the folds of its trials", "null")
    stopping = asked.given.get("early_stopping", {})
    if stopping is None:
        yield Fault("/early_stopping", "a fit keeps the best epoch of each trial", "an object, or nothing")
    elif stopping.get("monitor", asked.objective) != asked.objective:
        yield Fault("/early_stopping/monitor", "trials monitor the objective of the fit", asked.objective)


def _of_option(path: str) -> str:
    """The pointer into the request of an option of the space."""
    return f"/space/{escape(path)}"


def _where(pointer: str) -> str:
    """The pointer into the request of a pointer into the spec."""
    return pointer if pointer.startswith("/dataset") else f"/spec{pointer}"
