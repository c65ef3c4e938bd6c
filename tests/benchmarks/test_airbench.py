"""The plain loop and the spec have the same recipe, and a small comparison runs."""

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.benchmarks.airbench import plain
from tests.benchmarks.airbench.__main__ import PLAIN, RIGHTFIT, Run, compared, table
from tests.benchmarks.airbench.recipe import LOGIT_SCALE, Size, spec_of
from tests.benchmarks.airbench.sets import CLASSES, TRAIN, cifar10, drawn
from tests.golden.training import build, prepare
from workers.training.models.whitening import whiten
from workers.training.schedule import lr_share
from workers.training.views import averaged

TINY = Size(widths=(4, 6, 8), epochs=2, batch_size=32)
CPU = torch.device("cpu")


def test_both_have_the_same_network_whitening_views_and_rates() -> None:
    images, spec = drawn(60, 20, seed=1), spec_of(TINY, 1, "cpu", "fp32")
    prepared = prepare(spec, images)
    ours, theirs = build(spec, prepared).eval(), plain.network(TINY.widths).eval()
    whiten(ours, images, prepared.split.train, prepared.normalization)
    ((seen, _),) = prepared.on(CPU)(prepared.split.train).in_order(100)
    plain.whiten(theirs[0], seen)  # type: ignore[arg-type]  # it is a Conv2d
    own, other = ours.state_dict()["0.weight"], theirs.state_dict()["0.weight"]
    half = len(own) // 2
    assert torch.allclose(
        (own[:half] * other[:half].flip(0)).flatten(1).sum(1).abs(), own[:half].square().sum((1, 2, 3))
    )
    theirs.load_state_dict({name: ours.state_dict()[name] for name in theirs.state_dict()})
    with torch.no_grad():
        torch.testing.assert_close(averaged(ours, seen, "mirror_shift"), plain.logits(theirs, seen))
        torch.testing.assert_close(ours(seen), theirs(seen) * LOGIT_SCALE)
    rates = [lr_share(spec.schedule, step, 10, 3) for step in range(30)]
    assert rates == pytest.approx([plain.lr_share(step, 30) for step in range(30)])


def test_a_small_comparison_ends_with_a_table() -> None:
    results = compared({seed: drawn(64, 20, seed) for seed in (1, 2)}, TINY, CPU, "fp32")
    assert all(len(each.epochs) == TINY.epochs and each.images == 64 for runs in results.values() for each in runs)
    lines = table(results, 0.0).splitlines()
    assert [line.split(" | ")[0] for line in lines[2:4]] == [f"| {RIGHTFIT}", f"| {PLAIN}"]
    assert "(2 of 2 runs)" in lines[2]
    assert "not reached" in table(results, 1.1)


def test_seconds_to_a_target_end_with_its_first_epoch() -> None:
    run = Run(100, [(1.0, 0.5), (2.0, 0.94), (3.0, 0.93)])
    assert (run.seconds_to(0.94), run.seconds_to(0.95), run.images_per_second) == (2.0, None, 100.0)


def test_drawn_images_have_ten_classes_evenly() -> None:
    images = drawn(40, 20, seed=1)
    assert images.shape == (3, 32, 32)
    assert torch.bincount(images.labels).tolist() == [6] * CLASSES
    assert torch.equal(images.stored, drawn(40, 20, seed=1).stored)


def test_cifar_10_is_read_from_its_binary_archive(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    names = [*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin"]
    records = {name: random.integers(0, CLASSES, (3, 3073), dtype=np.uint8) for name in names}
    with tarfile.open(tmp_path / "cifar.tar.gz", "w:gz") as archive:
        for name in reversed(names):
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = records[name].nbytes
            archive.addfile(member, io.BytesIO(records[name].tobytes()))
    images = cifar10(tmp_path / "cifar.tar.gz", train=14)
    assert images.parts is not None
    assert [int((images.parts == TRAIN).sum()), len(images)] == [14, 17]
    fourth = records["data_batch_2.bin"][0]
    assert (int(images.labels[3]), images.stored[3, 2, 31, 31].item()) == (fourth[0], fourth[3072])
    assert images.labels[14:].tolist() == records["test_batch.bin"][:, 0].tolist()
