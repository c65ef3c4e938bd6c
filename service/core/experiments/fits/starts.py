"""The first changes that a fit tries: the recipe for the data, and the recipe with one thing more or less."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from service.core.experiments.fits.space import CHANNELS
from service.core.experiments.recipes import LEAST_SHIFTED_SIDE, MOST_BLOCKS, DataFacts, doubling, recipes_for
from service.core.records.dataset import Contents
from service.core.records.fit_request import Candidate, Source
from service.core.spec import Cnn, JobSpec, Optimizer, Schedule
from service.core.spec.patch import Operation, plain

GOOD = "good"
NOT_OF_A_RECIPE = ("/dataset", "/epochs", "/early_stopping")  # a recipe's own values for these are not used
# What each variation adds to the recipe, with its reason.
VARIATIONS: Mapping[str, tuple[Mapping[str, Any], str]] = {
    "mirrored": (
        {"/augmentation/horizontal_flip": True},
        "mirrored images may keep their class (He et al., 2016)",
    ),
    "erased": (
        {"/augmentation/random_erasing": 0.25},
        "erased rectangles keep the network from relying on one part (Zhong et al., 2020)",
    ),
    "blended": (
        {"/regularization/mixup_alpha": 0.2},
        "mixup smooths the model between images (Zhang et al., 2018)",
    ),
    "smoothed": (
        {"/regularization/label_smoothing": 0.05},
        "soft targets limit the outputs (Szegedy et al., 2016)",
    ),
    "pasted": (
        {"/regularization/cutmix_alpha": 1.0},
        "CutMix trains on parts of two images at once (Yun et al., 2019)",
    ),
}
ZOOMED = {"/augmentation/random_resized_crop": 0.5, "/augmentation/color_jitter": 0.2, "/augmentation/crop_padding": 0}
WHY_ZOOMED = "photographs show their objects at many sizes and in many lights (Szegedy et al., 2015)"
# What a fit adds to the recipe.
ADDED = {"/regularization/ema_decay": 0.98}
WHY_ADDED = "averaged weights are less noisy (Polyak and Juditsky, 1992)"
ADDED_TO_CNN = {"/model/hidden": [], "/optimizer/lr": 6e-3}
WHY_ADDED_TO_CNN = (
    "a hidden layer has most of the parameters; with normalization, a rate that rises and falls may be high (Smith and "
    "Topin, 2018)"
)
VARIED, POLICY = "varied", {"/augmentation/trivial_augment": True}
WHY_VARIED = "one random operation on each image (Mueller and Hutter, 2021)"
WHY_DEEPER = "a block more combines features of a larger part of the image (Simonyan and Zisserman, 2015)"
WHY_SHIFTED = "small shifts and rotations keep the class (Simard et al., 2003)"


def starting_points(spec: JobSpec, contents: Contents, narrowing: int = 1) -> tuple[Candidate, ...]:
    """The recipe and its variations as changes of a base, the most promising first. The channels of the first block are
    divided by `narrowing`.
    """
    facts = DataFacts.of(contents, spec.dataset)
    recipe = next(each for each in recipes_for(facts) if each.name == GOOD)
    is_cnn = isinstance(spec.model, Cnn)
    values = {**ADDED, **(ADDED_TO_CNN if is_cnn else {})}
    added = [{"op": "replace", "path": path, "value": value} for path, value in values.items()]
    by_path = {step["path"]: step for step in (*recipe.operations, *added) if _is_used(step, spec)}
    if CHANNELS in by_path:
        first, *others = by_path[CHANNELS]["value"]
        narrow = doubling(first // narrowing, 1 + len(others))
        by_path[CHANNELS] = {**by_path[CHANNELS], "value": narrow}
    steps = (*resets(spec), *by_path.values())
    why = f"the recipe {GOOD!r} for such data: " + "; ".join(
        choice.reason for choice in recipe.choices if any(_is_used(step, spec) for step in choice.operations)
    )
    why = "; ".join((why, WHY_ADDED, *([WHY_ADDED_TO_CNN] if is_cnn else [])))
    return (Candidate(steps, Source.RECIPE, why, is_whole=True), *_variations(steps, facts))


def resets(spec: JobSpec) -> tuple[Operation, ...]:
    """What automatic changes do first: other optimizers and schedules have options that the new ones do not have."""
    usual = plain(replace(spec, optimizer=Optimizer(), schedule=Schedule()))
    changed = (name for name in ("optimizer", "schedule") if usual[name] != plain(spec)[name])
    return tuple({"op": "replace", "path": f"/{name}", "value": usual[name]} for name in changed)


def _variations(steps: tuple[Operation, ...], facts: DataFacts) -> Iterator[Candidate]:
    shifted = {"/augmentation/rotation_degrees": 10.0, "/augmentation/crop_padding": max(1, facts.side // 16)}
    of_size: dict[str, tuple[Mapping[str, Any], str]] = {}
    if not facts.are_photographs and facts.side >= LEAST_SHIFTED_SIDE:
        of_size[VARIED] = POLICY, WHY_VARIED
    if channels := _deeper(steps, facts):
        of_size["deeper"] = channels, WHY_DEEPER
    if facts.are_photographs:
        of_size["zoomed"] = ZOOMED, WHY_ZOOMED
    for name, (values, why) in {**of_size, **VARIATIONS, "shifted": (shifted, WHY_SHIFTED)}.items():
        added = [{"op": "add", "path": path, "value": value} for path, value in values.items()]
        # Random operations slow the first epochs, and gain most in the last ones: a pause would come too early.
        yield Candidate((*steps, *added), Source.RECIPE, f"the recipe {GOOD!r}, {name}: {why}", is_whole=name == VARIED)


def _deeper(steps: tuple[Operation, ...], facts: DataFacts) -> dict[str, Any]:
    """The network of the recipe with one more block; empty if the images are too small for it."""
    channels = next((step["value"] for step in steps if step["path"] == CHANNELS), None)
    if channels is None or len(channels) == MOST_BLOCKS or facts.side >> len(channels) + 1 == 0:
        return {}
    return {CHANNELS: doubling(channels[0], len(channels) + 1)}


def _is_used(step: Operation, spec: JobSpec) -> bool:
    """Whether an operation is for trials of this base: its network stays of the same kind."""
    if step["path"].startswith("/model"):
        return isinstance(spec.model, Cnn)
    return not step["path"].startswith(NOT_OF_A_RECIPE)
