"""TrivialAugment and RandAugment against torchvision's own operations, image by image."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as transforms

from tests.workers.training.operations import NAMES, REFERENCE, pictures
from tests.workers.training.small import seeded
from workers.training.data.augmentation.operations import apply
from workers.training.data.augmentation.rand_augment import rand_augment, space
from workers.training.data.augmentation.space import BINS, Space
from workers.training.data.augmentation.trivial_augment import WIDE, trivial_augment

TheirSpace = dict[str, tuple[Callable[..., Tensor | None], bool]]  # the magnitudes for (bins, height, width); signed
TORCHVISION_NAMES = {
    "identity": "Identity",
    "shear_x": "ShearX",
    "shear_y": "ShearY",
    "translate_x": "TranslateX",
    "translate_y": "TranslateY",
    "rotate": "Rotate",
    "brightness": "Brightness",
    "color": "Color",
    "contrast": "Contrast",
    "sharpness": "Sharpness",
    "posterize": "Posterize",
    "solarize": "Solarize",
    "autocontrast": "AutoContrast",
    "equalize": "Equalize",
}
MOVING = {"shear_x", "shear_y", "translate_x", "translate_y", "rotate"}
EXACT = {"identity", "translate_x", "translate_y", "brightness", "posterize", "solarize", "autocontrast", "equalize"}
SIGNED = MOVING | {"brightness", "color", "contrast", "sharpness"}


def magnitudes(name: str, n: int) -> Tensor:
    """The magnitudes of the wide space, in both directions."""
    row = WIDE.magnitudes()[NAMES.index(name)]
    return (torch.cat([row, -row]) if name in SIGNED else row).repeat(n)[:n]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", NAMES)
def test_operation_equals_torchvisions(name: str, channels: int) -> None:
    images, strengths = pictures(70, channels), magnitudes(name, 70)
    results = apply(images, torch.full((70,), NAMES.index(name)), strengths)
    expected = torch.stack([REFERENCE[name](image, m) for image, m in zip(images, strengths.tolist(), strict=True)])
    differences = (results.int() - expected.int()).abs()
    if name in EXACT:
        assert differences.max() == 0
    elif name in MOVING:  # a position halfway between two pixels can round to either
        assert (differences > 0).double().mean() < 0.002
    else:  # a value close to a whole number can be truncated to either side
        assert differences.max() <= 1
        assert (differences > 0).double().mean() < 0.03
    assert name == "identity" or (name, channels) == ("color", 1) or not torch.equal(results, images)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("channels", [2, 4])
def test_channels_other_than_rgb_share_only_the_contrast(name: str, channels: int) -> None:
    images, strengths = pictures(40, channels), magnitudes(name, 40)
    operations = torch.full((40,), NAMES.index(name))
    together = apply(images, operations, strengths)
    if name == "contrast":
        mean = images.double().mean((1, 2, 3), keepdim=True)
        expected = (mean + (1 + strengths.double().view(-1, 1, 1, 1)) * (images - mean)).clamp(0, 255)
        assert (together - expected).abs().max() < 1.001
    else:
        apart = [apply(images[:, c : c + 1], operations, strengths) for c in range(channels)]
        assert torch.equal(together, torch.cat(apart, 1))


@pytest.mark.parametrize("shape", [(2, 2), (1, 5), (3, 3)])
def test_every_operation_takes_tiny_images(shape: tuple[int, int]) -> None:
    images, operations = pictures(14, 3, *shape), torch.arange(14)
    results = apply(images, operations, torch.ones(14))
    assert torch.equal(results[NAMES.index("sharpness")], transforms.adjust_sharpness(images[9], 2.0))
    assert results.shape == images.shape


def test_each_image_gets_its_own_operation_and_strength() -> None:
    images, operations = pictures(200), torch.randint(14, (200,), generator=seeded(1))
    strengths = WIDE.magnitudes()[operations, torch.randint(BINS, (200,), generator=seeded(2))]
    results = apply(images, operations, strengths)
    for i in range(200):
        alone = apply(images[i : i + 1], operations[i : i + 1], strengths[i : i + 1])
        assert torch.equal(results[i], alone[0])


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(WIDE, v2.TrivialAugmentWide._AUGMENTATION_SPACE), (space(18, 20), v2.RandAugment._AUGMENTATION_SPACE)],
)
def test_spaces_equal_those_of_torchvision(ours: Space, theirs: TheirSpace) -> None:
    assert {TORCHVISION_NAMES[name] for name in NAMES} == set(theirs)
    for name, row in zip(NAMES, ours.magnitudes(), strict=True):
        expected, signed = theirs[TORCHVISION_NAMES[name]]
        bins = expected(31, 18, 20)
        assert row.tolist() == ([0] * 31 if bins is None else bins.tolist())
        assert signed == (name in SIGNED)


def outcomes(image: Tensor, ours: Space, bins: range) -> dict[bytes, dict[str, float]]:
    """The probability of each result of one operation, by operation; all choices have the same probability."""
    likelihoods: dict[bytes, dict[str, float]] = {}
    table = ours.magnitudes()
    for operation, name in enumerate(NAMES):
        strengths = table[operation, bins.start : bins.stop]
        strengths = torch.cat([strengths, -strengths if name in SIGNED else strengths])
        results = apply(image.expand(len(strengths), *image.shape), torch.full((len(strengths),), operation), strengths)
        for result in results:
            by_name = likelihoods.setdefault(result.numpy().tobytes(), {})
            by_name[name] = by_name.get(name, 0) + 1 / (14 * len(strengths))
    return likelihoods


def is_as_likely_as_expected(results: Tensor, expected: dict[bytes, dict[str, float]]) -> bool:
    """Chi-square test of the counts of results, with rare ones as one group. An unexpected result is a KeyError."""
    n, counts = len(results), dict.fromkeys(expected, 0)
    for result in results:
        counts[result.numpy().tobytes()] += 1
    pairs = [(counts[key], n * sum(by_name.values())) for key, by_name in expected.items()]
    frequent = [pair for pair in pairs if pair[1] >= 5]
    rare = [pair for pair in pairs if pair[1] < 5]
    groups = [*frequent, (sum(c for c, _ in rare), sum(e for _, e in rare))] if rare else frequent
    statistic = sum((count - mean) ** 2 / mean for count, mean in groups)
    return statistic < len(groups) + 4 * math.sqrt(2 * len(groups))


@pytest.mark.parametrize("channels", [1, 3])
def test_trivial_augment_draws_uniformly(channels: int) -> None:
    image = pictures(2, channels)[0]
    results = trivial_augment(image.expand(12000, *image.shape), seeded())
    assert is_as_likely_as_expected(results, outcomes(image, WIDE, range(BINS)))


@pytest.mark.parametrize("magnitude", [0, 9, 30])
def test_rand_augment_draws_operations_and_directions_uniformly(magnitude: int) -> None:
    image = pictures(2)[0]
    results = rand_augment(image.expand(3000, *image.shape), 1, magnitude, seeded())
    assert is_as_likely_as_expected(results, outcomes(image, space(18, 20), range(magnitude, magnitude + 1)))


def test_rand_augment_draws_each_of_its_operations_anew() -> None:
    image, bins = pictures(2)[0], range(9, 10)
    expected: dict[bytes, dict[str, float]] = {}
    for first, first_chances in outcomes(image, space(18, 20), bins).items():
        between = torch.frombuffer(bytearray(first), dtype=torch.uint8).view(image.shape)
        for second, second_chances in outcomes(between, space(18, 20), bins).items():
            by_name = expected.setdefault(second, {"both": 0.0})
            by_name["both"] += sum(first_chances.values()) * sum(second_chances.values())
    assert is_as_likely_as_expected(rand_augment(image.expand(9000, *image.shape), 2, 9, seeded()), expected)


def test_rand_augment_with_no_operation_changes_nothing() -> None:
    images = pictures(5)
    assert torch.equal(rand_augment(images, 0, 9, seeded()), images)
