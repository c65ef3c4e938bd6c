"""The ensemble of a fit: which models become members, and what their mean scores."""

import numpy as np
import pytest

from service.core.evaluation.ensemble import Member, ensemble
from service.core.evaluation.predictions import TEST, VALIDATION, Predictions

IMAGES, CLASSES = 200, 4  # of each part


def member(trial: int, noise: float, temperature: float = 1.0, images: int = IMAGES) -> Member:
    """A model whose logits are those of the truth with noise of its own."""
    draw = np.random.default_rng(trial)
    part = np.repeat(np.array([VALIDATION, TEST], np.uint8), images)
    index = np.arange(len(part))
    label = index % CLASSES
    logits = 2 * np.eye(CLASSES)[label] + draw.normal(0, noise, (len(part), CLASSES))
    return Member(trial, f"job_{trial}", temperature, Predictions(part, index, label, logits.astype(np.float32)))


def test_models_with_other_mistakes_become_members() -> None:
    found = ensemble([member(trial, 1.5) for trial in (4, 2, 3)])
    assert found is not None
    assert found["members"][0]["trial"] == 4, "the kept model is the first"
    assert len(found["members"]) == 3
    for part in ("validation", "test"):
        scores = found[part]
        assert scores["loss_interval"][0] < scores["loss"] < scores["loss_interval"][1]
        assert scores["against_best"]["interval"][1] < 0


def test_the_mean_is_that_of_calibrated_probabilities() -> None:
    members = [member(1, 1.5, temperature=2.0), member(2, 1.5, temperature=0.5)]
    found = ensemble(members)
    assert found is not None
    shares = []
    for each in members:
        raised = np.exp(each.predictions.of(TEST).logits.astype(float) / each.temperature)
        shares.append(raised / raised.sum(axis=1, keepdims=True))
    label = members[0].predictions.of(TEST).label
    expected = -np.log(np.mean(shares, axis=0)[np.arange(len(label)), label]).mean()
    assert found["test"]["loss"] == pytest.approx(expected, rel=1e-5)


def test_worse_models_and_those_of_other_images_are_left_out() -> None:
    assert ensemble([member(1, 0.1), member(2, 9.0)]) is None
    assert ensemble([member(1, 1.5), member(2, 1.5, images=IMAGES + 1)]) is None
    assert ensemble([member(1, 1.5)]) is None
