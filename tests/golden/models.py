"""Small models of the same measures, fitted to the drawn runs: trees and a linear model, to compare the rules with."""

from collections.abc import Iterator, Sequence

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from service.core.diagnosis import Rules
from service.core.diagnosis.rules_fit import train_fall
from service.core.diagnosis.trends import rising_chance
from service.core.diagnosis.view import RunView
from tests.golden.scoring import Golden

DEPTHS = (4, 6, 8)  # of the trees
MOST = 1e6  # a measure is at most so far from 0


def measures(run: Golden) -> list[float]:
    """What the rules compare with thresholds, as numbers."""
    view = RunView(run.curve, run.facts, run.facts.trivial_loss, run.stop_reason, Rules())
    curve = view.curve
    if not len(curve):
        return [0.0] * 16
    fit, val, train = (curve.level(values) / view.guess for values in (curve.fit, curve.val, curve.train))
    right, seen = curve.share(curve.accuracy) or 0.0, curve.share(curve.train_accuracy) or 0.0
    images = view.validation_images or 1
    found = (
        *(len(curve), images, run.facts.copies_across / images),
        *(fit, val, train, max(curve.train) / view.guess, view.gap / view.guess),
        *(view.rise / view.noticeable, train_fall(curve, curve.turn), curve.fallen(curve.val), curve.fallen(curve.fit)),
        *(curve.falling(curve.val), rising_chance(curve.train)),
        *(curve.jumps / max(1e-6, curve.level(curve.val)), seen - right),
    )
    return [max(-MOST, min(MOST, value)) for value in found]


def accepted(runs: Sequence[Golden]) -> Iterator[tuple[str, float]]:
    """By model, the share of held-out runs whose verdict the labels accept, after a fit to the others."""
    known, held_out = ([run for run in runs if run.is_held_out == part] for part in (False, True))
    seen, unseen = (np.array([measures(run) for run in part]) for part in (known, held_out))
    labels = [run.verdict.value for run in known]
    models = {f"a tree of depth {d}": DecisionTreeClassifier(max_depth=d, min_samples_leaf=3) for d in DEPTHS}
    models["a linear model"] = make_pipeline(StandardScaler(), LogisticRegression(max_iter=3000))
    for name, model in models.items():
        inputs = [np.sign(values) * np.log1p(np.abs(values)) for values in (seen, unseen)]
        guesses = model.fit(inputs[0], labels).predict(inputs[1])
        right = [guess == run.verdict or guess in run.as_well for guess, run in zip(guesses, held_out, strict=True)]
        yield name, float(np.mean(right))
