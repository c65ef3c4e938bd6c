"""A split whose images are in groups says truly how it differs from what the spec asks for."""

from dataclasses import replace

import pytest
import torch

from service.core.records.dataset import Contents
from service.core.records.part_sizes import PartSizes
from service.core.records.plan import UNLIMITED, plan
from service.core.spec import Dataset
from tests.workers.training.small import labelled, spec, stratified_split
from workers.datasets.ingest.groups import sizes
from workers.training.data.grouped import divide
from workers.training.data.split import Division, divided

LABELS = torch.arange(120) % 2
BY_SEVENTEEN = (torch.arange(120) // 17) * 17


def of_a_label_file(val_fraction: float, seed: int = 1) -> Division:
    images = labelled(LABELS, copies=BY_SEVENTEEN)
    return divided(replace(images, groups=BY_SEVENTEEN), Dataset("x", val_fraction=val_fraction), seed)


@pytest.mark.parametrize("val_fraction", [0.1, 0.2])
def test_the_plan_says_about_for_large_groups(val_fraction: float) -> None:
    contents = Contents(("a", "b"), (60, 60), (1, 8, 8), copies=sizes(BY_SEVENTEEN.numpy()))
    job = spec(dataset={"id": "digits", "val_fraction": val_fraction})
    warnings = plan(job, contents, UNLIMITED).warnings
    assert any(f"only about {round(120 * val_fraction)} validation images" in warning for warning in warnings)


def test_notes_of_label_file_groups_are_true() -> None:
    for seed in range(5):
        division = of_a_label_file(0.2, seed)
        counts = [len(part) for part in vars(division.split).values()]
        expected = f"{counts[0]} train, {counts[1]} validation, 0 test images, where the spec asks for 96 train, 24 val"
        assert expected in division.notes[0]
        assert not any("copies" in note or "divided" in note for note in division.notes)


def test_the_groups_of_a_label_file_stay_whole() -> None:
    split = of_a_label_file(0.2).split
    assert not set(BY_SEVENTEEN[split.train].tolist()) & set(BY_SEVENTEEN[split.validation].tolist())


def test_only_classes_with_divided_copies_are_named() -> None:
    copies = torch.arange(80)
    copies[:40] = 0  # one group of copies is the whole class 0
    notes = divided(labelled(torch.arange(80) // 40, copies=copies), Dataset("x"), 1).notes
    assert [note.partition(":")[0] for note in notes] == ["class '0'"]
    assert "Groups of its copies are divided" in notes[0]


def test_a_split_as_asked_has_no_notes() -> None:
    copies = torch.arange(120) // 2 * 2
    assert divided(labelled(torch.arange(120) // 60, copies=copies), Dataset("x"), 1).notes == ()


def test_many_classes_in_groups_are_split_as_asked() -> None:
    labels = torch.arange(40_000) // 20
    split = stratified_split(labelled(labels, copies=torch.arange(40_000) // 2 * 2), Dataset("x"), 1)
    assert torch.bincount(labels[split.validation]).tolist() == [4] * 2000


def test_many_notes_are_cut_short() -> None:
    labels = torch.arange(400) // 20
    copies = labels * 20
    notes = divided(labelled(labels, copies=copies), Dataset("x"), 1).notes
    assert len(notes) == 11
    assert notes[-1] == "10 more such notes are left out."


def test_groups_go_to_whole_parts() -> None:
    groups = torch.arange(120) // 6
    parts = divide(LABELS, groups, dict.fromkeys((0, 1), PartSizes(48, 12, 0)), torch.Generator().manual_seed(0))
    assert all(len(set(parts[groups == group].tolist())) == 1 for group in range(20))
