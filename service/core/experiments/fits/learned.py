"""What earlier fits of a tenant tell about the next one: what cures did, and which changes were kept."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from service.core.diagnosis.effects import network_of
from service.core.experiments.fits.progress import state_of
from service.core.experiments.fits.state import whole_values
from service.core.records.fit import BASE, Fit
from service.core.records.fit_request import Candidate, Source
from service.core.spec import JobSpec
from service.core.spec.parts import Monitor

MOST_KEPT = 2  # changes of earlier fits that are tried first
OF_THE_LENGTH = ("/epochs",)  # every fit has its own


@dataclass(frozen=True)
class LearnedEffect:
    """What a cure did in the fits of a tenant with one kind of network, channels and objective.

    `changes` are the values of the objective with the cure minus those without it, one for each trial; lower is better.
    """

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


def learned_effects(fits: Iterable[Fit]) -> list[LearnedEffect]:
    """The effects of all cures that fits have tried to the end, the best ones first. Trials are compared with those of
    the same number of epochs: longer training is not the effect of a cure.
    """
    changes: dict[tuple[str, str, int, Monitor], list[float]] = {}
    for fit in fits:
        request, state = fit.request, state_of(fit, 0.0)
        values, epochs = whole_values(state.runs), {each.number: each.epochs for each in state.trials}
        for trial in state.trials:
            cure, before = trial.candidate.cure, trial.candidate.of
            if cure and before in values and trial.number in values and epochs[before] == trial.epochs:
                key = (cure, network_of(request.spec), request.channels, request.objective)
                changes.setdefault(key, []).append(values[trial.number] - values[before])
    found = [LearnedEffect(*key, tuple(each)) for key, each in changes.items()]
    return sorted(found, key=lambda effect: effect.mean)


def order_of_cures(
    effects: Sequence[LearnedEffect], network: str, channels: int, objective: Monitor
) -> Mapping[str, float]:
    """By cure, the share of trials with such data and network that it did not help, to sort by: 0.5 if unknown.

    One trial of each outcome is assumed beside those that were seen.
    """
    wanted = (network, channels, objective)
    known = [effect for effect in effects if (effect.network, effect.channels, effect.objective) == wanted]
    return {effect.cure: (effect.trials - effect.better + 1) / (effect.trials + 2) for effect in known}


def kept_before(fits: Iterable[Fit], spec: JobSpec, channels: int, objective: Monitor) -> tuple[Candidate, ...]:
    """The changes that the newest fits with such data, network and objective have kept, without their epochs.

    A fit of the same data set counts if it has the same split: else its choice may have seen images that `spec` tests.
    """
    found: list[Candidate] = []
    for fit in fits:
        best = (fit.result or {}).get("best")
        if not best or best["trial"] == BASE:
            continue
        own = fit.request
        if (network_of(own.spec), own.channels, own.objective) != (network_of(spec), channels, objective):
            continue
        if own.spec.dataset.id == spec.dataset.id and (own.spec.seed, own.spec.dataset) != (spec.seed, spec.dataset):
            continue
        patch = tuple(step for step in best["patch"] if step["path"] not in OF_THE_LENGTH)
        if all(patch != each.patch for each in found):
            found.append(Candidate(patch, Source.EARLIER, f"fit {fit.name or fit.id} kept it on similar data"))
    return tuple(found[:MOST_KEPT])
