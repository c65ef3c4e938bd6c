"""The difference of two kinds of models over several seeds, image by image."""

from dataclasses import replace

import numpy as np
import pytest

from service.core.evaluation.by_image import by_image
from service.core.evaluation.outcomes import Outcomes, outcomes
from service.core.evaluation.paired import paired
from tests.service.drawn import drawn


def models(seed: int) -> tuple[Outcomes, Outcomes]:
    """Two models on the same images, the second one worse."""
    given = drawn(400, 3, 1.0, seed)
    noise = np.random.default_rng(seed).normal(size=given.logits.shape).astype(np.float32)
    return outcomes(given), outcomes(replace(given, logits=given.logits + noise))


def test_one_pair_has_the_interval_of_the_paired_comparison() -> None:
    pair = models(1)
    found, expected = by_image([pair]), paired(*pair)
    assert found is not None
    assert expected is not None
    assert found.images == 400
    assert found.loss == pytest.approx(expected.loss)
    assert found.interval == pytest.approx(expected.interval)


def test_the_same_images_again_make_no_interval_narrower() -> None:
    once, twice = by_image([models(1)]), by_image([models(1), models(1)])
    assert once is not None
    assert twice is not None
    assert twice.images == 400
    assert twice.loss == pytest.approx(once.loss)
    assert twice.interval == pytest.approx(once.interval)


def test_other_images_make_it_narrower() -> None:
    other = tuple(replace(model, index=model.index + 400) for model in models(2))
    once, both = by_image([models(1)]), by_image([models(1), (other[0], other[1])])
    assert once is not None
    assert both is not None
    assert both.images == 800
    assert both.interval[1] - both.interval[0] < 0.9 * (once.interval[1] - once.interval[0])


def test_pairs_of_different_images_have_no_difference() -> None:
    first, second = models(1)
    assert by_image([models(1), (first, replace(second, index=second.index + 1))]) is None
    assert by_image([]) is None
