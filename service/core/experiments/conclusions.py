"""The conclusions from the runs of an ablation: effects of its factors, and the best arm. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from service.core.experiments.statistics import Effect, Verdict, effect
from service.core.records.ablation import BASE, Ablation, Arm, Run
from service.core.records.experiment import ExperimentStatus
from service.core.records.job import TERMINAL
from service.core.spec.patch import patched


@dataclass(frozen=True)
class ArmRuns:
    """An arm with its jobs, and by seed the validation losses of those that have a result."""

    arm: Arm
    runs: tuple[Run, ...]
    losses: Mapping[int, float]

    @property
    def mean(self) -> float | None:
        """The mean loss in nats, None without a loss."""
        return fmean(self.losses.values()) if self.losses else None


@dataclass(frozen=True)
class Best:
    """The arm to continue with: the base, unless another arm is significantly better."""

    arm: str
    mean: float
    spec: Mapping[str, Any]
    is_better_than_base: bool
    words: str


@dataclass(frozen=True)
class Conclusions:
    """The results of an ablation so far. `effects` are by the name of the arm, for all arms but the base."""

    ablation: Ablation
    arms: tuple[ArmRuns, ...]
    effects: Mapping[str, Effect]
    best: Best | None
    summary: str


def conclude(ablation: Ablation, runs: Sequence[Run]) -> Conclusions:
    """Compare each arm with the base."""
    arms = tuple(_arm_runs(arm, runs) for arm in ablation.arms)
    base, others = arms[0], arms[1:]
    effects = {other.arm.name: effect(base.losses, other.losses, len(others)) for other in others}
    best = _best(ablation, arms, effects)
    return Conclusions(ablation, arms, effects, best, _summary(ablation, effects, best))


def _arm_runs(arm: Arm, runs: Sequence[Run]) -> ArmRuns:
    own = tuple(run for run in runs if run.arm == arm.name)
    return ArmRuns(arm, own, {run.seed: run.result for run in own if run.result is not None})


def _best(ablation: Ablation, arms: Sequence[ArmRuns], effects: Mapping[str, Effect]) -> Best | None:
    """The best of the arms with a result under every seed, None if the base lacks one."""
    means = {runs.arm.name: runs.mean for runs in arms if len(runs.losses) == len(ablation.seeds)}
    of_base = means.get(BASE)
    if of_base is None:
        return None
    lowered = {name for name, measured in effects.items() if measured.verdict is Verdict.LOWERS}
    better = [(mean, name) for name, mean in means.items() if name in lowered and mean is not None]
    if not better:
        return Best(BASE, of_base, ablation.spec, False, "Nothing is significantly better than the base.")
    mean, name = min(better)
    arm = next(arm for arm in ablation.arms if arm.name == name)
    words = f"{name} is best: a validation loss of {mean:.4g} nats on average, against {of_base:.4g} of the base."
    return Best(name, mean, patched(ablation.spec, arm.patch), True, words)


def _summary(ablation: Ablation, effects: Mapping[str, Effect], best: Best | None) -> str:
    ended = sum(count for status, count in ablation.counts.items() if status in TERMINAL)
    total = sum(ablation.counts.values())
    running = ablation.status is ExperimentStatus.RUNNING
    said = (
        f"{ended} of {total} jobs have ended. {_effects_sentence(effects)}" if running else _effects_sentence(effects)
    )
    if best and best.is_better_than_base:
        return f"{said} {best.words}"
    if best is None and not running:
        return f"{said} The base has no result under some seeds, so no best is named."
    return said


def _effects_sentence(effects: Mapping[str, Effect]) -> str:
    """The significant effects in one sentence."""
    significant = [f"{name} {_with_size(measured)}" for name, measured in effects.items() if measured.is_significant]
    if significant:
        return f"{'; '.join(significant)}."
    if all(measured.verdict is Verdict.UNKNOWN for measured in effects.values()):
        return "Too few pairs to see any effect."
    return "No significant effect: the seeds alone can explain every difference."


def _with_size(measured: Effect) -> str:
    share = "" if measured.relative is None else f" ({abs(measured.relative):.0%})"
    return f"{measured.verdict} by {abs(measured.mean or 0.0):.4g} nats{share}"
