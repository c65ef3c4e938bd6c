"""What the cure `pretrained` does to runs with a problem: `python -m tests.golden.pretrained` trains them, and
adds them to the effects that order the advice.

The problems are those of `effects`, on pictures as wide as photographs. The weights are those of an EfficientNet-Lite0,
from ImageNet. The measure is the loss on test images at the temperature of the validation images, which also choose
the epoch; the test images choose nothing.
"""

import json
import random
import sys
from collections.abc import Mapping
from dataclasses import replace
from itertools import product
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from service.core.diagnosis import RunContext, Verdict
from service.core.diagnosis.advice import cured
from service.core.diagnosis.cures import CURES
from service.core.evaluation.evaluation import evaluate
from service.core.evaluation.predictions import TEST
from service.core.records.dataset import Contents
from service.core.records.facts import Facts
from service.core.records.weights import Weights
from service.core.spec import JobSpec
from service.core.storage import Artifact
from tests.golden import effects, scenes, training
from tests.golden.runs import Trained
from tests.golden.temperatures import predictions
from tests.golden.world import fashion
from tests.published_weights import MODEL, published
from workers.training.data.images import ImageSet
from workers.training.facts import facts
from workers.training.models.starting_weights import StartingWeights, load_weights

CURE = "pretrained"
SIDE = 48  # pixels
OF_CLASS = 125  # pictures
SPLIT = {"id": "digits", "val_fraction": 0.2, "test_fraction": 0.4}  # 50 pictures of a class are for training
RUNS, MOST_DRAWN = 3, 12
OUTFITS = ("shirt", "trousers", "pullover", "dress", "coat")
WEIGHTS = Weights(f"wgt_{'0' * 20}", "", MODEL, 1000, 3, 1, "", Artifact("", "", 1, "", ""), 0.0)


def outfits(seed: int) -> ImageSet:
    """Pictures of Fashion-MNIST, each in a random colour before a ground that fades from one colour to another."""
    pixels, labels = fashion()
    r = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(labels), generator=r)
    chosen = torch.cat([order[labels[order] == label][:OF_CLASS] for label in range(len(OUTFITS))])
    large = interpolate(pixels[chosen].float() / 255, size=(SIDE, SIDE), mode="bilinear")
    colour, left, right = torch.rand(3, len(chosen), 3, 1, 1, generator=r)
    place = torch.linspace(0, 1, SIDE)
    ground = left * (1 - place) + right * place
    noise = 0.1 * torch.randn(len(chosen), 3, SIDE, SIDE, generator=r)
    stored = 255 * (large * colour + (1 - large) * ground + noise).clamp(0, 1)
    return ImageSet(stored.to(torch.uint8), labels[chosen], OUTFITS)


DATA = {
    "scenes48": lambda seed: scenes.scenes(OF_CLASS * len(scenes.THINGS), seed, SIDE),
    "signs48": lambda seed: scenes.signs(OF_CLASS * len(scenes.SIGNS), seed, SIDE),
    "outfits48": outfits,
}
PROBLEMS = ("overfitting", "underfitting", "not_learning")


class Scored(NamedTuple):
    """The loss and the accuracy on test images."""

    loss: float
    accuracy: float


def train(
    spec: JobSpec, images: ImageSet, weights: Mapping[str, Tensor] | None = None
) -> tuple[RunContext, Verdict, Scored]:
    """Train a spec, from weights if they are given, and score the model of its best epoch on the test images."""
    prepared = training.prepare(spec, images)
    model = training.build(spec, prepared)
    if weights is not None:
        load_weights(model, StartingWeights(weights, None, "", has_own_names=True), images.classes)
    counts = torch.bincount(images.labels, minlength=len(images.classes)).tolist()
    contents = Contents(images.classes, tuple(counts), images.shape)
    case = RunContext(spec, contents, Facts.from_dict(facts(prepared)), "max_epochs", weights=WEIGHTS)
    fitted = training.train(spec, prepared, model)
    if fitted.best_weights is not None:
        model.load_state_dict(fitted.best_weights)
    scored = evaluate(predictions(Trained(spec, prepared, model, fitted)), TEST)
    return case, effects.Run(case, fitted).verdict, Scored(scored.calibration.loss_after, scored.scores.accuracy)


def measure(name: str, data: str, network: str, weights: Mapping[str, Tensor]) -> dict[str, Any]:
    """The losses of plain runs and of cured ones, in the same order, of RUNS runs with the verdict at most."""
    problem, plain, after = effects.PROBLEMS[name], list[Scored](), list[Scored]()
    verdicts: list[Verdict] = []
    for seed in range(1, MOST_DRAWN + 1):
        images = DATA[data](seed)
        drawn = effects.COMMON | problem.draw(random.Random(seed), network) | {"dataset": SPLIT}
        case, verdict, scored = train(JobSpec.from_dict(drawn).filled(seed), images)
        print(name, data, network, seed, verdict, scored, flush=True)
        patch = CURES[CURE].change(case)
        if patch and (verdict in problem.verdicts or problem.takes_all):
            verdicts.append(verdict)
            plain.append(scored)
            after.append(train(replace(cured(case.spec, patch), train_loss_clean=False), images, weights)[-1])
            print("with weights", after[-1], flush=True)
        if len(verdicts) == RUNS:
            break
    losses = {"": [each.loss for each in plain], CURE: [each.loss for each in after]}
    return {"problem": name, "data": data, "network": network, "verdicts": verdicts, "losses": losses}


def main(names: list[str]) -> None:
    """Measure the set-ups of these names, `overfitting-scenes48-cnn` for example, or all."""
    torch.set_num_threads(1)
    weights = published()
    known = {"-".join((m["problem"], m["data"], m["network"])): m for m in json.loads(effects.MEASURED.read_text())}
    for name in names or ["-".join(set_up) for set_up in product(PROBLEMS, DATA, effects.WIDE)]:
        problem, data, network = name.split("-")
        known[name] = measure(problem, data, network, weights)
        effects.write(list(known.values()))


if __name__ == "__main__":
    main(sys.argv[1:])
