"""What the fits of a tenant have shown, for the next fit and for the order of advice."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from service.core.diagnosis.effects import network_of
from service.core.experiments.fits.finals import AVERAGE_BEST, VIEWS
from service.core.experiments.fits.progress import state_of
from service.core.experiments.fits.state import whole_values
from service.core.records.fit import BASE, Fit
from service.core.records.fit_request import Candidate, Source
from service.core.records.lessons import Lessons, Tallies, Tally
from service.core.spec import JobSpec
from service.core.spec.parts import Monitor
from service.core.spec.patch import plain

MOST_KEPT = 2  # changes of earlier fits that are tried first
OF_FINALS = ("/epochs", AVERAGE_BEST, VIEWS)  # what refines a leader is left to the finals of each fit


@dataclass(frozen=True)
class LearnedEffect:
    """What a cure did in the fits of a tenant with one kind of network, channels and objective."""

    cure: str
    network: str
    channels: int
    objective: Monitor
    changes: tuple[float, ...]

    @property
    def trials(self) -> int:
        return len(self.changes)

    @property
    def better(self) -> int:
        """The number of trials that were better with the cure."""
        return sum(change < 0 for change in self.changes)

    @property
    def mean(self) -> float:
        return sum(self.changes) / len(self.changes)


def lessons_of(fit: Fit, result: Mapping[str, Any]) -> Lessons:
    """What a fit that ends with this result has shown. Trials are compared with those of the same number of epochs:
    longer training is not the effect of a cure.
    """
    request, state = fit.request, state_of(fit, 0.0)
    values, epochs = whole_values(state.runs), {each.number: each.epochs for each in state.trials}
    changes: dict[str, list[float]] = {}
    for trial in state.trials:
        cure, before = trial.candidate.cure, trial.candidate.of
        if cure and before in values and trial.number in values and epochs[before] == trial.epochs:
            changes.setdefault(cure, []).append(values[trial.number] - values[before])
    best = result.get("best")
    is_changed = best is not None and best["trial"] != BASE
    return Lessons(
        fit=fit.name or fit.id,
        network=network_of(request.spec),
        channels=request.channels,
        objective=request.objective,
        dataset=plain(request.spec)["dataset"],
        seed=request.spec.seed,
        changes=changes,
        kept=[step for step in best["patch"] if step["path"] not in OF_FINALS] if best and is_changed else None,
    )


def learned_effects(lessons: Iterable[Lessons]) -> list[LearnedEffect]:
    """The effects of all cures that fits have tried to the end, the best ones first."""
    changes: dict[tuple[str, str, int, Monitor], list[float]] = {}
    for each in lessons:
        for cure, own in each.changes.items():
            changes.setdefault((cure, each.network, each.channels, each.objective), []).extend(own)
    found = [LearnedEffect(*key, tuple(own)) for key, own in changes.items()]
    return sorted(found, key=lambda effect: effect.mean)


def tallies(lessons: Iterable[Lessons], spec: JobSpec, channels: int) -> Tallies:
    """By cure, how it did in fits with such a network and images with these channels, whatever their objective."""
    tried, better = Counter[str](), Counter[str]()
    for each in lessons:
        if (each.network, each.channels) == (network_of(spec), channels):
            for cure, changes in each.changes.items():
                tried[cure] += len(changes)
                better[cure] += sum(change < 0 for change in changes)
    return {cure: Tally(count, better[cure]) for cure, count in tried.items()}


def kept_before(lessons: Iterable[Lessons], spec: JobSpec, channels: int, objective: Monitor) -> tuple[Candidate, ...]:
    """The changes that fits with such data, network and objective have kept, the first ones of `lessons` first.

    A fit of the same data set counts if it has the same split: else its choice may have seen images that `spec` tests.
    """
    found: list[Candidate] = []
    dataset = plain(spec)["dataset"]
    for each in lessons:
        if each.kept is None or (each.network, each.channels, each.objective) != (
            network_of(spec),
            channels,
            objective,
        ):
            continue
        if each.dataset["id"] == dataset["id"] and (each.seed, each.dataset) != (spec.seed, dataset):
            continue
        if all(tuple(each.kept) != known.patch for known in found):
            found.append(Candidate(tuple(each.kept), Source.EARLIER, f"fit {each.fit} kept it on similar data"))
    return tuple(found[:MOST_KEPT])
