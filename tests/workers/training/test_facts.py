"""The facts about the images of a run."""

import math
from dataclasses import replace

import pytest
import torch

from service.core.records.facts import Facts, Mirroring
from tests.golden import scenes
from tests.workers.training.small import spec
from workers.training.data.images import ImageSet
from workers.training.data.prepare import Prepared, prepare
from workers.training.facts import facts
from workers.training.mirroring import mirroring


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


def test_mirrored_digits_change_their_class() -> None:
    known = Facts.from_dict(facts(prepare(spec(dataset={"id": "digits"}))))
    assert known.mirroring is not None
    assert known.mirroring.right > 0.9 * known.mirroring.images
    assert known.mirroring.keeps_classes(known.trivial_accuracy) is False


def test_pictures_that_are_drawn_either_way_may_be_mirrored() -> None:
    images = scenes.signs(1_000, 1)
    halves = torch.arange(1_000) % 2 == 0
    either = torch.where(halves[:, None, None, None], images.stored, images.stored.flip(3))
    kept = replace(images, stored=either, labels=(either.float().mean((1, 2, 3)) > 127).long(), classes=("0", "1"))
    found = mirroring(kept, torch.arange(1_000))
    assert found is not None
    assert Mirroring(**found).keeps_classes(0.5) is True


def test_noise_does_not_tell_whether_classes_are_kept() -> None:
    noise = torch.randint(0, 256, (400, 1, 8, 8), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    found = mirroring(ImageSet(noise, torch.arange(400) % 4, ("a", "b", "c", "d")), torch.arange(400))
    assert found is not None
    assert Mirroring(**found).keeps_classes(0.25) is None
    assert mirroring(ImageSet(noise, torch.zeros(400).long(), ("a",)), torch.arange(1)) is None
