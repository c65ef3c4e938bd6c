"""What the cures did to runs with the same problem, on several data sets: the order of the advice, with its reasons.

`python -m tests.golden.effects` measures them, and writes effects.json. The measure is the lowest validation loss at
its best temperature; a change counts beyond the 95 % interval of its mean over three to ten runs.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

from service.core.diagnosis.verdicts import Verdict
from service.core.records.lessons import NO_TALLY, Tallies, Tally
from service.core.spec import JobSpec, Mlp
from service.core.text import counted

Network = Literal["cnn", "mlp"]
NETWORKS: tuple[Network, ...] = ("cnn", "mlp")
FILE = Path(__file__).with_suffix(".json")
# The problem that was measured, by verdict.
PROBLEM: Mapping[Verdict, str] = {
    Verdict.OVERFITTING: "overfitting",
    Verdict.STAGNANT_GENERALIZATION: "overfitting",
    Verdict.OVERCONFIDENT: "overfitting",
    Verdict.UNDERFITTING: "underfitting",
    Verdict.UNSTABLE: "unstable",
    Verdict.DIVERGED: "unstable",
    Verdict.NOISY_VALIDATION: "noisy_validation",
    Verdict.NOT_LEARNING: "not_learning",
}
# Before and after the measured cures: the first needs no training, the second is the surest; the third gives the same
# model in less time, the last one no spec can do.
RANK = {"temperature": -2, "more_data": -1, "early_stopping": 1, "collect": 2}
# The plainest change for steps that are too large: it lowered the loss most, if not on every data set.
FIRST: Mapping[Verdict, str] = {Verdict.UNSTABLE: "lower_lr", Verdict.NOISY_VALIDATION: "lower_lr"}
DOUBTS = 2  # data sets on which a cure is taken to do nothing, beside the measured ones
OTHER_KIND = 0.5  # weight of a data set of the other kind


@dataclass(frozen=True)
class Effect:
    """Of `sets` data sets, those on which a cure `lowered` or `raised` the loss. `change` is the mean relative one.

    `evidence` is the sum over the sets of the fall in halves of its interval, from -2 to 2 each: above 1 is a fall
    beyond the interval.
    """

    sets: int = 0
    lowered: int = 0
    raised: int = 0
    change: float = 0.0
    evidence: float = 0.0


@dataclass(frozen=True)
class Effects:
    """The effects of a cure with one kind of network, on gray and on colour pictures."""

    gray: Effect = Effect()
    colour: Effect = Effect()

    def promise(self, channels: int, tally: Tally = NO_TALLY) -> float:
        """How surely the cure lowers the loss on another data set, -2 to 2; 0 as if it was not measured.

        `channels` are those of the pictures: 1 for gray ones. Each trial of the `tally` counts as a data set.
        """
        own, other = (self.gray, self.colour) if channels == 1 else (self.colour, self.gray)
        sets = own.sets + OTHER_KIND * other.sets + tally.trials
        evidence = own.evidence + OTHER_KIND * other.evidence + 2 * tally.better - tally.trials
        return evidence / (sets + DOUBTS)

    @property
    def change(self) -> float:
        """The mean relative change of the loss over all sets."""
        both = (self.gray, self.colour)
        return sum(each.change * each.sets for each in both) / max(1, sum(each.sets for each in both))

    def words(self, network: Network) -> str:
        """The effect as a sentence."""
        kind = {"cnn": "a cnn", "mlp": "an mlp"}[network]
        both = (self.gray, self.colour)
        sets, lowered, raised = (sum(getattr(each, name) for each in both) for name in ("sets", "lowered", "raised"))
        return (
            f"Measured with {kind} on {counted(sets, 'data set')}: it lowered the loss on {lowered} and raised it on "
            f"{raised}, by {self.change:+.0%} on average."
        )


Table = Mapping[tuple[str, Network], Mapping[str, Effects]]  # by problem and network, and by id of the cure


@cache
def effects() -> Table:
    """The measured effects."""
    return parsed(json.loads(FILE.read_text("utf-8")))


def parsed(stored: Mapping[str, Any]) -> Table:
    """Effects from the content of their file."""
    return {
        (problem, network): {
            cure: Effects(**{kind: Effect(**each) for kind, each in kinds.items()}) for cure, kinds in cures.items()
        }
        for problem, networks in stored.items()
        for network, cures in networks.items()
    }


def network_of(spec: JobSpec) -> Network:
    """The measured kind of network that is nearest to that of a spec."""
    return "mlp" if isinstance(spec.model, Mlp) else "cnn"


def ordered(
    verdict: Verdict,
    cures: tuple[str, ...],
    networks: tuple[Network, ...],
    channels: tuple[int, ...],
    tallies: Tallies,
    table: Table | None = None,
) -> tuple[str, ...]:
    """The cures of a verdict, those first that promise most: the mean over the networks and the numbers of `channels`
    that are possible.

    `tallies` are those of fits with such a network and such pictures, `table` the effects to go by, by default all that
    were measured. Equal cures stay in their order.
    """
    problem = PROBLEM.get(verdict, "")
    known = effects() if table is None else table

    def place(cure: str) -> tuple[int, float, float]:
        found = [known.get((problem, network), {}).get(cure, Effects()) for network in networks]
        rank = (-1 if cure == FIRST.get(verdict) else RANK.get(cure, 0)) if problem else 0
        tally = tallies.get(cure, NO_TALLY)
        promise = fmean(each.promise(count, tally) for each, count in product(found, channels))
        return rank, -promise, sum(each.change for each in found)

    return tuple(sorted(cures, key=place))


def reason(verdict: Verdict, cure: str, network: Network) -> str:
    """What a cure did to such runs, as a sentence; empty if it was not measured."""
    effect = effects().get((PROBLEM[verdict], network), {}).get(cure) if verdict in PROBLEM else None
    return effect.words(network) if effect else ""
