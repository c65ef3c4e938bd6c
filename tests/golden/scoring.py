"""How well the rules agree with the labels: `python -m tests.golden.scoring`; with `calibrate`, looks for thresholds.

The runs of even seeds are held out of the calibration. Of real runs those are two for each set-up.
"""

import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

from service.core.diagnosis import Rules, Verdict, diagnose
from service.core.diagnosis.curves import Curve
from service.core.diagnosis.findings import findings
from service.core.diagnosis.view import RunView
from service.core.records.epoch import Epoch
from service.core.records.facts import Facts
from tests.golden import synthetic
from tests.golden.labels import AS_WELL, LABELS
from tests.golden.runs import FILE, SEEDS

SYNTHETIC_SEEDS = range(12)
FACTORS = (0.6, 0.75, 0.9, 1.1, 1.3, 1.7)
UNMEASURED: dict[str, Any] = {
    "penalty": 0.0,
    "seconds": 1.0,
    "images_per_second": 1.0,
    "improved": False,
    "epochs_without_improvement": 0,
}


@dataclass(frozen=True)
class Golden:
    """One labelled history; `as_well` are verdicts that would do too."""

    name: str
    seed: int
    history: list[Epoch]
    facts: Facts
    stop_reason: str
    verdict: Verdict
    as_well: frozenset[Verdict] = frozenset()
    drawn_as: str | None = None

    @property
    def set_up(self) -> str:
        """Runs of one set-up are much alike: the cuts of a drawn run, or the seeds of one that was written by hand."""
        return self.drawn_as or self.name

    @property
    def is_held_out(self) -> bool:
        return self.seed % 2 == 0

    @cached_property
    def curve(self) -> Curve:
        return Curve.of(self.history)

    def judged(self, rules: Rules) -> Verdict:
        """The main verdict of the rules; the label's own where it is as good."""
        verdict = findings(RunView(self.curve, self.facts, self.facts.trivial_loss, self.stop_reason, rules))[0].verdict
        return self.verdict if verdict in self.as_well else verdict


def load() -> list[Golden]:
    """All of them: real runs, then synthetic ones."""
    real = [
        Golden(
            run["set_up"],
            run["seed"],
            history(run),
            Facts.from_dict(run["facts"]),
            run["stop_reason"],
            LABELS[run["set_up"]][SEEDS.index(run["seed"])],
            AS_WELL.get((run["set_up"], run["seed"]), frozenset()),
        )
        for run in json.loads(FILE.read_text())
    ]
    made = [
        Golden(f"synthetic {kind}", seed, *synthetic.history(kind, seed), "max_epochs", synthetic.KINDS[kind].verdict)
        for kind in synthetic.KINDS
        for seed in SYNTHETIC_SEEDS
    ]
    return real + made


def history(run: Mapping[str, Any]) -> list[Epoch]:
    """The epochs of a stored run; what the file does not keep of them is made up."""
    columns = run["epochs"]
    rows = zip(*columns.values(), strict=True)
    return [_epoch(dict(zip(columns, row, strict=True))) for row in rows]


def _epoch(measures: Mapping[str, Any]) -> Epoch:
    broken = measures["train_loss"] is None or measures["val_loss"] is None
    return Epoch(**UNMEASURED | {**measures}, flag="nan" if broken else None)


@dataclass(frozen=True)
class Score:
    """Of one verdict: how many runs have it, and precision and recall of the rules."""

    verdict: Verdict
    runs: int
    precision: float
    recall: float

    @property
    def f1(self) -> float:
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0


def scores(golden: Sequence[Golden], rules: Rules) -> list[Score]:
    """By verdict, over runs of a part."""
    pairs = [(run.verdict, run.judged(rules)) for run in golden]
    labelled, judged_as = Counter(label for label, _ in pairs), Counter(judged for _, judged in pairs)
    right = Counter(label for label, judged in pairs if label == judged)
    return [
        Score(v, labelled[v], right[v] / judged_as[v] if judged_as[v] else 0.0, right[v] / labelled[v])
        for v in Verdict
        if labelled[v]
    ]


def calibrated(golden: Sequence[Golden], rules: Rules) -> Rules:
    """Move one threshold after the other to where the mean F1 is highest, until none gains; of equals the middle."""
    best = _mean_f1(golden, rules)
    while True:
        before = best
        for field in fields(Rules):
            now = getattr(rules, field.name)
            if isinstance(now, int):
                continue
            candidates = [_with(rules, field.name, now * factor) for factor in FACTORS] + [rules]
            tried = [(_mean_f1(golden, candidate), candidate) for candidate in candidates]
            best = max(score for score, _ in tried)
            equals = sorted(getattr(candidate, field.name) for score, candidate in tried if score == best)
            rules = _with(rules, field.name, equals[len(equals) // 2])
        best = _mean_f1(golden, rules)
        print(f"mean F1 {best:.4f}", flush=True)
        if best <= before:
            return rules


def _with(rules: Rules, name: str, value: float) -> Rules:
    changes: dict[str, Any] = {name: float(f"{value:.2g}")}
    return replace(rules, **changes)


def _mean_f1(golden: Sequence[Golden], rules: Rules) -> float:
    by_verdict = scores(golden, rules)
    return sum(score.f1 for score in by_verdict) / len(by_verdict)


def table(golden: Sequence[Golden], rules: Rules) -> Iterator[str]:
    """Lines of Markdown."""
    yield "| verdict | runs | precision | recall |"
    yield "|---|---|---|---|"
    for score in scores(golden, rules):
        yield f"| {score.verdict} | {score.runs} | {score.precision:.2f} | {score.recall:.2f} |"


def called_overfitting(rules: Rules, curves: int) -> float:
    """The share of curves of pure noise that are called overfitting or overconfident."""
    wrong = (Verdict.OVERFITTING, Verdict.OVERCONFIDENT)
    verdicts = (_diagnosed(*synthetic.noise(seed), rules) for seed in range(curves))
    return sum(verdict in wrong for verdict in verdicts) / curves


def _diagnosed(history: list[Epoch], facts: Facts, rules: Rules) -> Verdict:
    return diagnose(history, facts=facts, stop_reason="max_epochs", rules=rules).verdict


def main(arguments: list[str]) -> None:
    golden, rules = load(), Rules()
    if "calibrate" in arguments:
        rules = calibrated([run for run in golden if not run.is_held_out], rules)
        print(rules)
    print("Made by `python -m tests.golden.scoring`. A verdict counts as right if its label accepts it.\n")
    for part, runs in (
        ("Calibrated on", [run for run in golden if not run.is_held_out]),
        ("Held out", [run for run in golden if run.is_held_out]),
    ):
        print(f"## {part}: {len(runs)} runs\n", *table(runs, rules), "", sep="\n")
        for run in runs:
            if (judged := run.judged(rules)) != run.verdict:
                print(f"- {run.name}, seed {run.seed}: {run.verdict} was called {judged}")
        print()
    share = called_overfitting(rules, 1000)
    print(f"Of 1,000 curves of pure noise, {share:.1%} were called overfitting or overconfident.")


if __name__ == "__main__":
    main(sys.argv[1:])
