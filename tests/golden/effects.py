"""What each cure does to runs with a problem, by data set and network: `python -m tests.golden.effects` trains them,
and writes effects.md and the table that orders the advice.

The measure is the lowest validation loss at its best temperature, of the cured run minus that of the plain one, paired
by seed. A temperature needs no training, so that a cure must be better than that. Set-ups of all problems but
overfitting are drawn at random until enough of their runs have the verdict.
"""

import json
import math
import random
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

from service.core.diagnosis import RunContext, Verdict, diagnose
from service.core.diagnosis.advice import ADVISED, cured
from service.core.diagnosis.cures import CURES
from service.core.diagnosis.effects import FILE, ordered, parsed
from service.core.records.dataset import Contents
from service.core.records.epoch import Epoch
from service.core.records.facts import Facts
from service.core.spec import JobSpec, contradictions
from tests.golden import scenes, training
from tests.golden.paired import spread
from tests.golden.world import clothes
from workers.training.data.digits import load as load_digits
from workers.training.data.images import ImageSet
from workers.training.facts import facts
from workers.training.loop import TrainingResult

MEASURED = Path(__file__).parent / "effects.json"
PAGE = Path(__file__).parent / "effects.md"
CANDIDATES = ("ema", "decaying_lr", "spatial_dropout", "cutmix", "l1")  # which might be advised to runs that overfit
LEAST_RUNS = 3  # that a cure must apply to
SUREST = 2.0  # halves of an interval; a larger fall counts as this one
MOST_DRAWN = 40  # set-ups for one data set and network
Loss = float
FIRSTS = """# What the first advice does on a new data set

For each data set, the cure that is advised first by the effects on the other data sets, and what it did. Made by
`python -m tests.golden.effects`.

| problem | data | network | first advice | change | outcome |
|---|---|---|---|---|---|
"""
HEAD = """
# What cures do to runs with a problem

The lowest validation loss at its best temperature, the mean over the runs, and its relative change by each cure, with
the 95 % interval of Student's t for its logarithm. Made by `python -m tests.golden.effects`.

`pretrained` has data sets of its own, pictures of 48 pixels with 50 for training of each class, since it is for
photographs. Its losses are those of test images at the temperature of the validation images, which also choose the
epoch. The weights are those of an EfficientNet-Lite0, from ImageNet. Made by `python -m tests.golden.pretrained`.

| problem | data | network | runs | loss | cure | change | outcome |
|---|---|---|---|---|---|---|---|
"""


def _digits(seed: int) -> ImageSet:
    every = load_digits()
    chosen = torch.randperm(len(every), generator=torch.Generator().manual_seed(seed))[:600]
    return replace(every, stored=every.stored[chosen], labels=every.labels[chosen], known_digest=None)


DATA: Mapping[str, Callable[[int], ImageSet]] = {
    "digits": _digits,
    "clothes": lambda seed: clothes(random.Random(seed), 800),
    "signs": lambda seed: scenes.signs(700, seed),
    "scenes": lambda seed: scenes.scenes(700, seed),
}
KINDS = {
    "digits": "gray",
    "clothes": "gray",
    **dict.fromkeys(("signs", "scenes", "signs48", "scenes48", "outfits48"), "colour"),
}
Plain = dict[str, Any]


@dataclass(frozen=True)
class Problem:
    """Set-ups that may have it, and how many runs are measured. Their cures are those of the verdicts."""

    verdicts: tuple[Verdict, ...]
    draw: Callable[[random.Random, str], Plain]
    runs: int = 4  # with one of the verdicts, for each data set and network
    takes_all: bool = False  # runs, whatever their verdict
    further: tuple[str, ...] = ()  # cures


WIDE: Mapping[str, Plain] = {
    "cnn": {"arch": "cnn", "channels": [16, 32], "hidden": [64]},
    "mlp": {"arch": "mlp", "hidden": [128, 64]},
}


def _wide(_: random.Random, network: str) -> Plain:
    """A network that is large for the images, trained at a usual rate."""
    return {"model": WIDE[network], "optimizer": {"lr": 2e-3}, "epochs": 40 if network == "cnn" else 60}


def _fast(r: random.Random, network: str) -> Plain:
    """Large steps."""
    rates = {"adam": (5e-3, 5e-2), "sgd": (3e-2, 0.5)}
    name = r.choice(["adam", "adam", "sgd"])
    optimizer = {"name": name, "lr": _between(r, *rates[name]), "momentum": 0.9 if name == "sgd" else 0.0}
    return {"model": WIDE[network], "optimizer": optimizer, "epochs": 25, "batch_size": r.choice([8, 16, 32])}


def _small(r: random.Random, network: str) -> Plain:
    """A small network, or one that is held back."""
    width = r.choice([2, 4, 8])
    sizes = {"cnn": {"channels": [width], "hidden": [16]}, "mlp": {"hidden": [width]}}
    held_back = r.choice([{}, {}, {"dropout": 0.6}, {"weight_decay": 0.1}])
    spec = {"model": {"arch": network, **sizes[network]}, "optimizer": {"lr": _between(r, 5e-4, 2e-2)}}
    return {**spec, "epochs": 40, "regularization": held_back}


def _stuck(r: random.Random, network: str) -> Plain:
    """Steps that are far too small, or so large that the network is dead."""
    rate = _between(r, *r.choice([(1e-7, 1e-5), (5e-2, 0.5)]))
    return {"model": WIDE[network], "optimizer": {"lr": rate}, "epochs": 15}


def _between(r: random.Random, least: float, most: float) -> float:
    """A number of three digits, its logarithm uniform."""
    return float(f"{math.exp(r.uniform(math.log(least), math.log(most))):.3g}")


PROBLEMS: Mapping[str, Problem] = {
    "overfitting": Problem(
        (Verdict.OVERFITTING, Verdict.STAGNANT_GENERALIZATION, Verdict.OVERCONFIDENT), _wide, 10, True, CANDIDATES
    ),
    "underfitting": Problem((Verdict.UNDERFITTING,), _small),
    "unstable": Problem((Verdict.UNSTABLE, Verdict.DIVERGED), _fast),
    "noisy_validation": Problem((Verdict.NOISY_VALIDATION,), _fast),
    "not_learning": Problem((Verdict.NOT_LEARNING,), _stuck),
}
COMMON = {"dataset": {"id": "digits", "val_fraction": 0.5}, "batch_size": 32, "early_stopping": None}


@dataclass(frozen=True)
class Change:
    """What a cure did: the mean of the plain losses over the runs, and the mean change of the logarithm of the loss,
    plus or minus `half` (95 %). The logarithm weighs runs of different losses alike.
    """

    runs: int
    base: Loss
    mean: float
    half: float

    @property
    def outcome(self) -> int:
        """-1 if it lowered the loss beyond the interval, 1 if it raised it, else 0."""
        return (self.mean - self.half > 0) - (self.mean + self.half < 0)

    @property
    def evidence(self) -> float:
        """The fall in halves of its interval, from -SUREST to SUREST; above 1 is a fall beyond the interval."""
        return max(-SUREST, min(SUREST, -self.mean / max(self.half, 1e-12)))

    @property
    def words(self) -> str:
        """The change with its interval, and the outcome, as two cells of a table."""
        mean, least, most = (math.expm1(x) for x in (self.mean, self.mean - self.half, self.mean + self.half))
        interval = f"{mean:+.1%} ({least:+.1%} to {most:+.1%})"
        return f"{interval} | {('', 'raises it', 'lowers it')[self.outcome]}"


@dataclass(frozen=True)
class Run:
    """A run that has ended, with what its diagnosis needs."""

    case: RunContext
    fitted: TrainingResult

    @property
    def loss(self) -> Loss:
        """The lowest validation loss at its best temperature, in nats."""
        losses = [epoch.val_loss_calibrated for epoch in self.fitted.history]
        return min((loss for loss in losses if loss is not None), default=math.inf)

    @property
    def verdict(self) -> Verdict:
        history = [Epoch.measured(vars(result)) for result in self.fitted.history]
        return diagnose(history, self.case, self.case.facts, "max_epochs").verdict


def train(spec: JobSpec, images: ImageSet, seed: int) -> Run:
    """Train a spec."""
    spec = replace(spec, seed=seed)
    prepared = training.prepare(spec, images)
    counts = torch.bincount(images.labels, minlength=len(images.classes)).tolist()
    contents = Contents(images.classes, tuple(counts), images.shape)
    case = RunContext(spec, contents, Facts.from_dict(facts(prepared)), "max_epochs")
    return Run(case, training.train(spec, prepared, training.build(spec, prepared)))


def cures(case: RunContext, problem: Problem) -> Iterator[tuple[str, JobSpec]]:
    """The specs that the cures of a problem make of a run, each once."""
    ids = dict.fromkeys([*(cure for verdict in problem.verdicts for cure in ADVISED[verdict]), *problem.further])
    for cure in ids:
        patch = CURES[cure].change(case)
        if patch and not list(contradictions(spec := cured(case.spec, patch))):
            yield cure, spec


def measure(name: str, data: str, network: str, known: Mapping[str, list[Loss | None]]) -> dict[str, Any]:
    """The losses of plain runs and of cured ones, in the same order. Those that are known are not measured again.

    The loss is None where a cure does not apply.
    """
    problem = PROBLEMS[name]
    losses: dict[str, list[Loss | None]] = {"": [], **{cure: [] for cure in known}}
    verdicts: list[Verdict] = []
    for seed in range(1, MOST_DRAWN + 1):
        images = DATA[data](seed)
        plain = JobSpec.from_dict(COMMON | problem.draw(random.Random(seed), network)).filled(0)
        base = train(plain, images, seed)
        if base.verdict not in problem.verdicts and not problem.takes_all:
            continue
        losses[""].append(base.loss)
        for cure, cured_losses in losses.items():
            cured_losses.extend(known.get(cure, [])[len(verdicts) : len(verdicts) + 1] if cure else [])
        for cure, spec in cures(base.case, problem):
            cured_losses = losses.setdefault(cure, [None] * len(verdicts))
            if len(cured_losses) == len(verdicts):
                cured_losses.append(train(spec, images, seed).loss)
        verdicts.append(base.verdict)
        for each in losses.values():
            each.extend([None] * (len(verdicts) - len(each)))
        if len(verdicts) == problem.runs:
            break
    print(name, data, network, *verdicts, flush=True)
    return {"problem": name, "data": data, "network": network, "verdicts": verdicts, "losses": losses}


def changes(losses: Mapping[str, list[Loss | None]]) -> Iterator[tuple[str, Change]]:
    """By cure what it did, paired by run, for cures that apply to at least LEAST_RUNS of the runs."""
    for cure, cured_losses in sorted(losses.items()):
        pairs = [
            (after, before)
            for after, before in zip(cured_losses, losses[""], strict=False)
            if after is not None and before is not None
        ]
        if cure and len(pairs) >= LEAST_RUNS:
            mean, half = spread([math.log(after / before) for after, before in pairs])
            yield cure, Change(len(pairs), fmean(before for _, before in pairs), mean, half)


def table(measured: list[dict[str, Any]]) -> dict[str, dict[str, dict[str, dict[str, Any]]]]:
    """What the cures did, by problem, network, cure and kind of pictures: the content of the file that orders the
    advice.
    """
    found: dict[str, dict[str, dict[str, dict[str, Any]]]] = {
        name: {network: {} for network in WIDE} for name in PROBLEMS
    }
    for each in measured:
        for cure, change in changes(each["losses"]):
            kinds = found[each["problem"]][each["network"]].setdefault(cure, {})
            sums = kinds.setdefault(
                KINDS[each["data"]], {"sets": 0, "lowered": 0, "raised": 0, "change": 0.0, "evidence": 0.0}
            )
            relative = math.expm1(change.mean)
            sums["change"] = round((sums["change"] * sums["sets"] + relative) / (sums["sets"] + 1), 4)
            sums["evidence"] = round(sums["evidence"] + change.evidence, 4)
            sums["sets"] += 1
            sums["lowered"] += change.outcome < 0
            sums["raised"] += change.outcome > 0
    return found


def foretold(measured: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], str, Change]]:
    """For each set-up of data and network, the cure that would be advised first if its data set had not been measured,
    and what it did.
    """
    for each in measured:
        others = parsed(table([other for other in measured if other["data"] != each["data"]]))
        verdict, done = PROBLEMS[each["problem"]].verdicts[0], dict(changes(each["losses"]))
        channels = 1 if KINDS[each["data"]] == "gray" else 3
        advised = ordered(verdict, ADVISED[verdict], (each["network"],), (channels,), {}, others)
        if first := next((cure for cure in advised if cure in done), None):
            yield each, first, done[first]


def page(measured: list[dict[str, Any]]) -> str:
    """All effects as a table, then what the first advice did."""
    firsts = [
        f"| {each['problem']} | {each['data']} | {each['network']} | {cure} | {change.words} |\n"
        for each, cure, change in foretold(measured)
    ]
    rows = []
    for each in measured:
        for cure, change in changes(each["losses"]):
            set_up = f"{each['problem']} | {each['data']} | {each['network']} | {change.runs}"
            rows.append(f"| {set_up} | {change.base:.4f} | {cure} | {change.words} |\n")
    return FIRSTS + "".join(firsts) + HEAD + "".join(rows)


def write(measured: list[dict[str, Any]]) -> None:
    """Write all files."""
    MEASURED.write_text(json.dumps(measured, separators=(",", ":")).replace("},{", "},\n{") + "\n")
    FILE.write_text(json.dumps(table(measured), indent=1) + "\n")
    PAGE.write_text(page(measured))


def main(names: list[str]) -> None:
    """Measure the set-ups of these names, `overfitting-digits-cnn` for example, or all; then write the page."""
    torch.set_num_threads(1)
    stored = json.loads(MEASURED.read_text()) if MEASURED.exists() else []
    known = {"-".join((m["problem"], m["data"], m["network"])): m for m in stored}
    every = ["-".join(set_up) for set_up in product(PROBLEMS, DATA, WIDE)]
    for name in names or every:
        problem, data, network = name.split("-")
        known[name] = measure(problem, data, network, known.get(name, {}).get("losses", {}))
        write(list(known.values()))


if __name__ == "__main__":
    main(sys.argv[1:])
