"""The rival: its augmentation, its learning rates, its networks, and what its search leaves behind."""

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.benchmarks.fits.rival.augmentation import augmented
from tests.benchmarks.fits.rival.config import Config, Schedule
from tests.benchmarks.fits.rival.network import network
from tests.benchmarks.fits.rival.training import load, lr_share, train
from tests.benchmarks.fits.sets import SETS, write_arrays
from tests.benchmarks.fits.systems import score
from tests.benchmarks.processes import OURS, measure

PLAIN = Config(
    channels=(16, 32),
    hidden=0,
    batch_norm=True,
    dropout=0.0,
    lr=5e-3,
    weight_decay=0.05,
    schedule="onecycle",
    label_smoothing=0.0,
    ema_decay=0.0,
    batch_size=32,
    shift=0,
    rotation=0.0,
    mirror=False,
)
SOON = 60.0  # seconds, more than any of these trainings takes


def shifted(image: torch.Tensor, down: int, right: int) -> torch.Tensor:
    """An image [1, 8, 8] moved by at most one pixel, with zeros at the edge."""
    padded = torch.zeros(1, 10, 10)
    padded[:, 1 - down : 9 - down, 1 - right : 9 - right] = image
    return padded[:, 1:9, 1:9]


def test_shift_moves_by_whole_pixels_and_pads_with_zeros() -> None:
    torch.manual_seed(0)
    image = torch.rand(1, 8, 8)
    changed = augmented(image.expand(64, 1, 8, 8), replace(PLAIN, shift=1))
    moves = torch.stack([shifted(image, down, right) for down in (-1, 0, 1) for right in (-1, 0, 1)])
    distances = (changed[:, None] - moves).abs().amax((2, 3, 4))
    assert distances.amin(1).max() < 1e-5
    assert set(distances.argmin(1).tolist()) == set(range(9))


def test_mirror_flips_some_images_left_to_right() -> None:
    torch.manual_seed(0)
    images = torch.rand(40, 1, 8, 8)
    changed = augmented(images, replace(PLAIN, mirror=True))
    kept, flipped = ((changed - other).abs().amax((1, 2, 3)) < 1e-5 for other in (images, images.flip(3)))
    assert torch.all(kept ^ flipped)
    assert 5 < int(flipped.sum()) < 35


def test_rotation_keeps_the_centre_and_moves_the_edge() -> None:
    torch.manual_seed(0)
    images = torch.zeros(20, 1, 9, 9)
    images[:, :, 4, :] = 1
    changed = augmented(images, replace(PLAIN, rotation=20.0))
    assert changed[:, 0, 4, 4].min() > 0.9
    assert changed[:, 0, 4, 0].min() < 0.5


@pytest.mark.parametrize(("schedule", "end"), [("onecycle", 0.0), ("cosine", 0.0), ("constant", 1.0)])
def test_learning_rate_rises_to_its_highest_value(schedule: Schedule, end: float) -> None:
    rates = [lr_share(schedule, step / 1000) for step in range(1001)]
    assert rates[0] < 0.1
    assert max(rates) == pytest.approx(1, abs=1e-3)
    assert rates[-1] == pytest.approx(end, abs=1e-3)


@pytest.mark.parametrize(("shape", "channels"), [((1, 8, 8), (16, 32, 64)), ((3, 32, 32), (16, 32, 64, 128))])
@pytest.mark.parametrize("hidden", [0, 64])
def test_network_has_a_block_for_each_width(shape: tuple[int, ...], channels: tuple[int, ...], hidden: int) -> None:
    images = torch.rand(5, *shape)
    model = network(replace(PLAIN, channels=channels, hidden=hidden), images, 7)
    assert [m.out_channels for m in model.modules() if isinstance(m, torch.nn.Conv2d)] == list(channels)
    assert [m.out_features for m in model.modules() if isinstance(m, torch.nn.Linear)] == [*[hidden] * (hidden > 0), 7]
    assert model(images).shape == (5, 7)


@pytest.mark.parametrize("ema_decay", [0.0, 0.95])
def test_training_learns_the_digits(ema_decay: float, tmp_path: Path) -> None:
    torch.manual_seed(0)
    write_arrays(SETS["digits"](0), tmp_path / "data.npz")
    config = replace(PLAIN, ema_decay=ema_decay, shift=1)
    losses = [loss for loss, _ in train(config, load(tmp_path / "data.npz"), 8, time.monotonic() + SOON)]
    assert len(losses) == 8
    assert losses[-1] < 0.5


def test_training_ends_at_the_deadline(tmp_path: Path) -> None:
    write_arrays(SETS["digits"](0), tmp_path / "data.npz")
    epochs = train(PLAIN, load(tmp_path / "data.npz"), 8, time.monotonic() - 1)
    assert next(epochs, None) is None


@pytest.mark.long
def test_search_writes_the_probabilities_of_its_best_epoch(tmp_path: Path) -> None:
    images = SETS["digits"](0)
    write_arrays(images, tmp_path / "data.npz")
    np.save(tmp_path / "test.npy", images.test)
    options = {"--data": "data.npz", "--test": "test.npy", "--folder": ".", "--probabilities": "found.npy"}
    words = [word for option, name in options.items() for word in (option, str(tmp_path / name))]
    words += ["--minutes", "0.5", "--epochs", "9", "--seed", "0"]
    line = measure(OURS, "tests.benchmarks.fits.rival", words, threads=1).line
    probabilities = np.load(tmp_path / "found.npy")
    assert probabilities.sum(1) == pytest.approx(1, abs=1e-4)
    scored = score(probabilities, images.test_labels)
    assert scored.accuracy > 0.5
    assert scored.loss == pytest.approx(line["val_loss"], abs=0.6)
    assert line["trials"]["complete"] + line["trials"].get("pruned", 0) >= 1
