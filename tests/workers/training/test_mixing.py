"""Mixup and CutMix: the mixed images, and targets whose shares match the images."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.workers.training.small import seeded
from workers.training.regularization.cutmix import cutmix
from workers.training.regularization.hooks import Mixed
from workers.training.regularization.mixing import mix
from workers.training.regularization.mixup import mixup

METHODS = pytest.mark.parametrize(("mixup_alpha", "cutmix_alpha"), [(0.4, 0.0), (0.0, 1.0), (0.4, 1.0)])


def pictures(n: int, channels: int = 3, height: int = 6, width: int = 7) -> Tensor:
    return torch.randn(n, channels, height, width, generator=seeded(9))


def labelled(n: int, height: int = 8, width: int = 8) -> tuple[Tensor, Tensor]:
    """Images filled with their labels 1, ..., n."""
    labels = torch.arange(1, n + 1)
    return labels.float().view(-1, 1, 1, 1).expand(n, 2, height, width).contiguous(), labels


@given(st.floats(0, 1), st.permutations(range(5)))
def test_mixup_is_the_convex_combination_of_two_images(mixing: float, order: list[int]) -> None:
    images = pictures(5)
    mixed = mixup(images, mixing, torch.tensor(order))
    for i, partner in enumerate(order):
        expected = mixing * images[i].double() + (1 - mixing) * images[partner].double()
        torch.testing.assert_close(mixed[i].double(), expected, atol=1e-6, rtol=1e-5)


def test_mixup_with_share_1_gives_the_images_with_0_the_partners() -> None:
    images, order = pictures(20) * 1e3, torch.arange(19, -1, -1)
    assert torch.equal(mixup(images, 1.0, order), images)
    assert torch.equal(mixup(images, 0.0, order), images.flip(0))


@given(st.floats(0, 1), st.integers(1, 9), st.integers(1, 9), st.integers(0, 999))
def test_the_share_of_cutmix_is_the_share_of_pixels_that_stayed(
    mixing: float, height: int, width: int, seed: int
) -> None:
    images, _ = labelled(3, height, width)
    order = torch.tensor([1, 2, 0])
    mixed, share = cutmix(images, mixing, order, seeded(seed))
    own = mixed == images
    assert torch.equal(own, own[:1, :1].expand_as(own))
    assert share == pytest.approx(own[0, 0].double().mean().item(), abs=1e-12)
    assert torch.equal(mixed[~own], images[order][~own])
    pasted = ~own[0, 0]
    assert torch.equal(pasted, pasted.any(1)[:, None] & pasted.any(0))
    assert pasted.any(1).sum() <= math.ceil(height * math.sqrt(1 - mixing))
    assert pasted.any(0).sum() <= math.ceil(width * math.sqrt(1 - mixing))
    if mixing == 1:
        assert torch.equal(mixed, images)
        assert share == 1


def test_cutmix_box_has_its_area_unless_a_border_clips_it() -> None:
    images, order = labelled(2, 40, 40)[0], torch.tensor([1, 0])
    mixed, shares = zip(*(cutmix(images, 0.75, order, seeded(seed)) for seed in range(400)), strict=True)
    assert min(shares) == pytest.approx(0.75)
    assert max(shares) > 0.9  # clipped at a corner, where it can lose almost three quarters
    assert sum(share == min(shares) for share in shares) / 400 == pytest.approx((21 / 40) ** 2, abs=0.1)
    pasted = (torch.stack(mixed) != images)[:, 0, 0]
    touched = [pasted[:, 0].any(1), pasted[:, -1].any(1), pasted[:, :, 0].any(1), pasted[:, :, -1].any(1)]
    assert [border.double().mean().item() for border in touched] == pytest.approx([1 / 4] * 4, abs=0.09)


def test_the_centre_of_the_box_is_uniform_over_the_pixels() -> None:
    images, order, n = labelled(2, 5, 5)[0], torch.tensor([1, 0]), 2500
    random = seeded()
    counts = torch.zeros(5, 5)
    for _ in range(n):
        counts += (cutmix(images, 0.96, order, random)[0] != images)[0, 0]  # a box of one pixel
    assert counts.sum() == n
    assert (counts - n / 25).square().sum() / (n / 25) < 60  # chi-square with 24 degrees of freedom


@METHODS
def test_the_labels_are_those_of_the_images_that_were_mixed(mixup_alpha: float, cutmix_alpha: float) -> None:
    images, labels = labelled(30)
    partners = set()
    for seed in range(20):
        mixed = mix(images, labels, mixup_alpha, cutmix_alpha, seeded(seed))
        assert mixed.labels is labels
        assert sorted(mixed.other_labels.tolist()) == labels.tolist()
        expected = mixed.share * labels + (1 - mixed.share) * mixed.other_labels
        torch.testing.assert_close(mixed.images.mean((1, 2, 3)), expected, check_dtype=False)
        partners.add(int(mixed.other_labels[0]))
    assert len(partners) > 5


@METHODS
def test_mixing_is_deterministic_and_keeps_its_input(mixup_alpha: float, cutmix_alpha: float) -> None:
    images, labels = pictures(12), torch.arange(12)
    before = images.clone()
    random = seeded()
    first, second = (mix(images, labels, mixup_alpha, cutmix_alpha, random) for _ in range(2))
    torch.manual_seed(3)
    again = mix(images, labels, mixup_alpha, cutmix_alpha, seeded())
    assert torch.equal(images, before)
    assert torch.equal(labels, torch.arange(12))
    assert torch.equal(again.images, first.images)
    assert torch.equal(again.other_labels, first.other_labels)
    assert again.share == first.share != second.share


@METHODS
def test_mixing_keeps_channels_last_and_the_values(mixup_alpha: float, cutmix_alpha: float) -> None:
    images, labels = pictures(12), torch.arange(12)
    for seed in range(4):
        plain = mix(images, labels, mixup_alpha, cutmix_alpha, seeded(seed)).images
        mixed = mix(
            images.to(memory_format=torch.channels_last), labels, mixup_alpha, cutmix_alpha, seeded(seed)
        ).images
        assert torch.equal(plain, mixed)
        assert mixed.is_contiguous(memory_format=torch.channels_last)


def test_without_alphas_nothing_is_mixed_drawn_or_copied() -> None:
    images, labels, random = pictures(4), torch.arange(4), seeded()
    mixed = mix(images, labels, 0.0, 0.0, random)
    assert mixed == Mixed(images, labels, labels, 1.0)
    assert mixed.images is images
    assert torch.equal(random.get_state(), seeded().get_state())


def is_pasted(mixed: Mixed, values: set[float]) -> bool:
    return set(mixed.images.flatten().tolist()) <= values


def test_mixup_and_cutmix_each_mix_half_of_the_batches() -> None:
    images, labels = labelled(7)
    values, n = {float(label) for label in labels}, 1000
    for mixup_alpha, cutmix_alpha, expected in [(1.0, 0.0, 0.0), (0.0, 1.0, 1.0), (1.0, 1.0, 0.5)]:
        random = seeded()
        pasted = sum(is_pasted(mix(images, labels, mixup_alpha, cutmix_alpha, random), values) for _ in range(n))
        assert pasted / n == pytest.approx(expected, abs=0.06 if expected == 0.5 else 0.005)


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_the_share_of_mixup_is_from_the_beta_distribution(alpha: float) -> None:
    images, labels = labelled(2, 1, 1)
    random, n = seeded(), 3000
    shares = torch.tensor([mix(images, labels, alpha, 0.0, random).share for _ in range(n)], dtype=torch.float64)
    reference = torch.distributions.Beta(torch.tensor(alpha), torch.tensor(alpha))
    torch.manual_seed(0)
    expected = reference.sample((200_000,)).double()
    for quantile in (0.05, 0.25, 0.5, 0.75, 0.95):
        point = expected.quantile(quantile)
        assert (shares <= point).double().mean().item() == pytest.approx(quantile, abs=0.04)


def test_with_both_on_each_method_uses_its_own_alpha() -> None:
    images, labels = labelled(8)
    random, values = seeded(), {float(label) for label in labels}
    shares: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(400):
        mixed = mix(images, labels, 1000.0, 0.01, random)
        shares[is_pasted(mixed, values)].append(mixed.share)
    assert all(abs(share - 0.5) < 0.1 for share in shares[False])
    assert sum(share > 0.99 for share in shares[True]) / len(shares[True]) == pytest.approx(0.5, abs=0.15)
