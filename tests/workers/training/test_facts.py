"""The facts about the images of a run."""

import math
from dataclasses import replace

import pytest
import torch

from tests.workers.training.small import spec
from workers.training.data.prepare import Prepared, prepare
from workers.training.facts import facts


def test_guessing_on_ten_even_classes_scores_about_their_entropy() -> None:
    known = facts(prepare(spec(dataset={"id": "digits", "test_fraction": 0.1})))
    assert known["trivial_loss"] == pytest.approx(math.log(10), abs=0.01)
    assert known["trivial_accuracy"] == pytest.approx(0.1, abs=0.02)
    assert sum(known["images"].values()) == 1797
    assert known["copies_across"] == 0


def test_guessing_on_uneven_classes_is_right_more_often() -> None:
    prepared = prepare(spec(dataset={"id": "digits"}))
    uneven = torch.where(prepared.images.labels < 9, 0, 1)
    known = facts(replace(prepared, images=replace(prepared.images, labels=uneven, classes=("a", "b"))))
    assert known["trivial_accuracy"] == pytest.approx(0.9, abs=0.01)
    assert known["trivial_loss"] == pytest.approx(-0.9 * math.log(0.9) - 0.1 * math.log(0.1), abs=0.01)


@pytest.mark.parametrize("are_known", [False, True])
def test_validation_images_with_a_training_copy_are_counted(are_known: bool) -> None:
    prepared = prepare(spec(dataset={"id": "digits"}))
    train, validation = prepared.split.train, prepared.split.validation
    stored, copies = prepared.images.stored.clone(), torch.arange(1797)
    stored[validation[:5]] = stored[train[:5]]
    copies[validation[:5]] = train[:5]
    images = replace(prepared.images, stored=stored, copies=copies if are_known else None)
    assert facts(Prepared(images, prepared.split, prepared.normalization, prepared.clean))["copies_across"] == 5
