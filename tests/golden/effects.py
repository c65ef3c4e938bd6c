"""What each cure does to runs with a problem, by data set and network: `python -m tests.golden.effects` trains them,
and writes effects.md and the table that orders the advice.

The measure is the lowest validation loss at its best temperature, of the cured run minus that of the plain one, paired
by seed. A temperature needs no training, so that a cure must be better than that.
"""

import json
import math
import random
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

from service.core.diagnosis import RunContext, Verdict, diagnose
from service.core.diagnosis.advice import ADVISED, cured
from service.core.diagnosis.cures import CURES
from service.core.diagnosis.effects import FILE
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
FEW = 300  # images of a run that does not overfit
Loss = float
HEAD = """# What cures do to runs with a problem

The lowest validation loss at its best temperature, the mean over the seeds, and its change by each cure, with the 95 %
interval of Student's t. Made by `python -m tests.golden.effects`.

| problem | data | network | seeds | loss | cure | change | outcome |
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
KINDS = {"digits": "gray", "clothes": "gray", "signs": "colour", "scenes": "colour"}
Plain = dict[str, Any]


@dataclass(frozen=True)
class Problem:
    """Set-ups that have it, by network, and what they are measured on. Their cures are those of the verdicts."""

    verdicts: tuple[Verdict, ...]
    networks: Mapping[str, Plain]
    data: tuple[str, ...] = ("digits",)
    seeds: range = range(1, 4)
    images: int | None = FEW  # of a data set; None: all
    further: tuple[str, ...] = ()  # cures


def _set_up(model: Plain, lr: float, epochs: int) -> Plain:
    return {"model": model, "optimizer": {"lr": lr}, "epochs": epochs}


PROBLEMS: Mapping[str, Problem] = {
    "overfitting": Problem(
        (Verdict.OVERFITTING, Verdict.STAGNANT_GENERALIZATION, Verdict.OVERCONFIDENT),
        {
            "cnn": _set_up({"arch": "cnn", "channels": [16, 32], "hidden": [64]}, 2e-3, 40),
            "mlp": _set_up({"arch": "mlp", "hidden": [128, 64]}, 2e-3, 60),
        },
        tuple(DATA),
        range(1, 6),
        None,
        CANDIDATES,
    ),
    "not_learning": Problem((Verdict.NOT_LEARNING,), {"mlp": _set_up({"arch": "mlp", "hidden": [64]}, 1e-6, 10)}),
}
COMMON = {"dataset": {"id": "digits", "val_fraction": 0.5}, "batch_size": 32, "early_stopping": None}


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
    def advice(self) -> tuple[Verdict, list[str]]:
        """The verdict, and the cures that are advised, in order."""
        history = [Epoch.measured(vars(result)) for result in self.fitted.history]
        found = diagnose(history, self.case, self.case.facts, "max_epochs")
        return found.verdict, [each.id for each in found.advice if each.patch]


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


def measure(name: str, data: str, network: str, known: Mapping[str, list[Loss]]) -> dict[str, Any]:
    """The losses of the plain run and of each cured one, by seed. Losses that are known are not measured again."""
    problem = PROBLEMS[name]
    plain = JobSpec.from_dict(COMMON | problem.networks[network]).filled(0)
    losses: dict[str, list[Loss]] = {}
    verdicts, first = [], []
    for seed in problem.seeds:
        images = _first(DATA[data](seed), problem.images)
        base = train(plain, images, seed)
        verdict, advised = base.advice
        verdicts.append(verdict)
        first.append(advised[0] if advised else "")
        losses.setdefault("", []).append(base.loss)
        for cure, spec in cures(base.case, problem):
            if cure not in known:
                losses.setdefault(cure, []).append(train(spec, images, seed).loss)
    print(name, data, network, verdicts, first, flush=True)
    set_up = {"problem": name, "data": data, "network": network}
    return {**set_up, "verdicts": verdicts, "first": first, "losses": {**known, **losses}}


def _first(images: ImageSet, count: int | None) -> ImageSet:
    """The first `count` images; all if it is None."""
    return replace(images, stored=images.stored[:count], labels=images.labels[:count], known_digest=None)


def change(losses: list[Loss], base: list[Loss]) -> tuple[float, float]:
    """The mean change of the losses, paired by seed, and the half of its interval."""
    return spread([loss - plain for loss, plain in zip(losses, base, strict=True)])


def table(measured: list[dict[str, Any]]) -> dict[str, dict[str, dict[str, dict[str, Any]]]]:
    """What the cures did, by problem, network, cure and kind of pictures: the content of the file that orders the
    advice.
    """
    found: dict[str, dict[str, dict[str, dict[str, Any]]]] = {
        name: {network: {} for network in problem.networks} for name, problem in PROBLEMS.items()
    }
    for each in measured:
        base = each["losses"][""]
        for cure, losses in sorted(each["losses"].items()):
            if not cure or len(losses) < len(base):
                continue
            mean, half = change(losses, base)
            kinds = found[each["problem"]][each["network"]].setdefault(cure, {})
            sums = kinds.setdefault(KINDS[each["data"]], {"sets": 0, "lowered": 0, "raised": 0, "change": 0.0})
            sums["change"] = round((sums["change"] * sums["sets"] + mean / fmean(base)) / (sums["sets"] + 1), 4)
            sums["sets"] += 1
            sums["lowered"] += mean + half < 0
            sums["raised"] += mean - half > 0
    return found


def page(measured: list[dict[str, Any]]) -> str:
    """All effects as a table."""
    rows = []
    for each in measured:
        base = each["losses"][""]
        for cure, losses in sorted(each["losses"].items()):
            if cure and len(losses) == len(base):
                mean, half = change(losses, base)
                outcome = "lowers it" if mean + half < 0 else "raises it" if mean - half > 0 else ""
                interval = f"{mean:+.4f} ({mean - half:+.4f} to {mean + half:+.4f})"
                set_up = f"{each['problem']} | {each['data']} | {each['network']} | {len(base)}"
                rows.append(f"| {set_up} | {fmean(base):.4f} | {cure} | {interval} | {outcome} |\n")
    return HEAD + "".join(rows)


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
    every = ["-".join((name, data, net)) for name, p in PROBLEMS.items() for data in p.data for net in p.networks]
    for name in names or every:
        problem, data, network = name.split("-")
        known[name] = measure(problem, data, network, known.get(name, {}).get("losses", {}))
        write(list(known.values()))


if __name__ == "__main__":
    main(sys.argv[1:])
