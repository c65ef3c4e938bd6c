"""The first changes that a fit tries: the recipe for the data, and the recipe with one thing more or less."""

from collections.abc import Iterator, Mapping
from typing import Any

from service.core.experiments.recipes import DataFacts, recipes_for
from service.core.records.dataset import Contents
from service.core.records.fit_request import Candidate, Source
from service.core.spec import Cnn, JobSpec
from service.core.spec.patch import Operation

GOOD = "good"
OF_THE_FIT = ("/dataset", "/epochs", "/early_stopping")  # a recipe's own values for these are not used
# What each variation adds to the recipe, with its reason.
VARIATIONS: Mapping[str, tuple[Mapping[str, Any], str]] = {
    "averaged": (
        {"/regularization/ema_decay": 0.98},
        "averaged weights are less noisy (Polyak and Juditsky, 1992)",
    ),
    "turned": (
        {"/augmentation/rotation_degrees": 10.0},
        "small rotations keep the class and show each image anew (Simard et al., 2003)",
    ),
    "mirrored": (
        {"/augmentation/horizontal_flip": True},
        "mirrored images may keep their class (He et al., 2016)",
    ),
    "blended": (
        {"/regularization/mixup_alpha": 0.2, "/regularization/ema_decay": 0.98},
        "mixup smooths the model between images (Zhang et al., 2018)",
    ),
    "smoothed": (
        {"/regularization/label_smoothing": 0.05, "/regularization/ema_decay": 0.98},
        "soft targets keep the outputs from growing (Szegedy et al., 2016)",
    ),
}
SHIFTED = ("shifted", "shifts by an eighth of the side keep the class (Simard et al., 2003)")


def starting_points(spec: JobSpec, contents: Contents) -> tuple[Candidate, ...]:
    """The recipe and its variations as changes of a base, the most promising first."""
    facts = DataFacts.of(contents, spec.dataset)
    recipe = next(each for each in recipes_for(facts) if each.name == GOOD)
    by_path = {step["path"]: step for step in recipe.operations if _is_used(step, spec)}
    steps = tuple(by_path.values())
    why = f"the recipe {GOOD!r} for such data: " + "; ".join(
        choice.reason for choice in recipe.choices if any(_is_used(step, spec) for step in choice.operations)
    )
    return (Candidate(steps, Source.RECIPE, why), *_variations(steps, facts))


def _variations(steps: tuple[Operation, ...], facts: DataFacts) -> Iterator[Candidate]:
    variations = dict(VARIATIONS)
    if shift := facts.side // 8:
        name, why = SHIFTED
        turned = {"/augmentation/rotation_degrees": 10.0, "/augmentation/crop_padding": shift}
        variations[name] = ({**turned, "/regularization/ema_decay": 0.98}, why)
    for name, (values, why) in variations.items():
        added = [{"op": "add", "path": path, "value": value} for path, value in values.items()]
        yield Candidate((*steps, *added), Source.RECIPE, f"the recipe {GOOD!r}, {name}: {why}")


def _is_used(step: Operation, spec: JobSpec) -> bool:
    """Whether an operation is for trials of this base: its network stays of the same kind."""
    if step["path"].startswith("/model"):
        return isinstance(spec.model, Cnn)
    return not step["path"].startswith(OF_THE_FIT)
