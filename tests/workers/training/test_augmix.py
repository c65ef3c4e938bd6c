"""AugMix against a reference that mixes one image at a time with the operations of torchvision."""

import pytest
import torch
from torch import Tensor

from tests.workers.training.operations import NAMES, REFERENCE, pictures
from tests.workers.training.small import seeded
from workers.training.data.augmentation.augmix import CHAINS, LONGEST, USED, augmix, drawn, mixed


def reference(image: Tensor, operations: Tensor, strengths: Tensor, weights: Tensor, kept: float) -> Tensor:
    """m x + (1 - m) sum of w_i chain_i(x), of the paper's algorithm 1."""
    total = torch.zeros(image.shape, dtype=torch.float64)
    for chain in range(CHAINS):
        result = image
        for step in range(LONGEST):
            result = REFERENCE[NAMES[operations[chain, step]]](result, strengths[chain, step].item())
        total += weights[chain].double() * result
    return kept * image.double() + (1 - kept) * total


@pytest.mark.parametrize("channels", [1, 3])
def test_images_are_mixed_as_by_the_reference(channels: int) -> None:
    images = pictures(60, channels)
    draws = drawn(images.shape, seeded())
    ours = mixed(images, draws)
    for i, image in enumerate(images):
        parts = draws.operations[..., i], draws.strengths[..., i], draws.weights[:, i], draws.kept[i].item()
        differences = (ours[i] - reference(image, *parts)).abs()
        assert (differences > 1).double().mean() < 0.02, "a position halfway between two pixels can round to either"
    assert not torch.equal(ours, images)


def test_draws_have_the_distributions_of_the_paper() -> None:
    draws = drawn(torch.Size((20_000, 3, 90, 60)), seeded())
    used = {name: NAMES.index(name) for name in USED}
    identity = draws.operations == NAMES.index("identity")
    assert not identity[:, 0].any()
    assert (~identity).sum(1).double().mean().item() == pytest.approx(2, abs=0.02)  # of 1, 2 or 3
    first = draws.operations[:, 0].flatten().bincount(minlength=len(NAMES)) / draws.operations[:, 0].numel()
    assert {n for n, share in enumerate(first.tolist()) if share} == set(used.values())
    assert first[list(used.values())].sub(1 / len(USED)).abs().max() < 0.01
    torch.testing.assert_close(draws.weights.sum(0), torch.ones(20_000))
    assert draws.weights.mean(1).sub(1 / 3).abs().max() < 0.01
    assert draws.weights[0].var().item() == pytest.approx(1 / 18, abs=0.003)  # of Dirichlet(1, 1, 1)
    assert draws.kept.var().item() == pytest.approx(1 / 12, abs=0.003)  # uniform
    for name, lowest, highest in [
        ("rotate", -8, 8),
        ("shear_x", -0.09, 0.09),
        ("translate_x", -5, 5),
        ("translate_y", -8, 8),
        ("posterize", 3, 4),
        ("solarize", 180 / 255, 254 / 255),
    ]:
        strengths = draws.strengths[draws.operations == used[name]]
        assert strengths.min().item() == pytest.approx(lowest, abs=0.001)
        assert strengths.max().item() == pytest.approx(highest, abs=0.001)


def test_same_seed_gives_the_same_images() -> None:
    images = pictures(8)
    assert torch.equal(augmix(images, seeded(3)), augmix(images, seeded(3)))
    assert not torch.equal(augmix(images, seeded(3)), augmix(images, seeded(4)))
