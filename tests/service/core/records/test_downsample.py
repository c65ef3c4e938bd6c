"""A long history drawn with fewer epochs: real ones, in order, with every peak."""

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.records.downsample import sampled
from service.core.records.epoch import Epoch


def history(losses: list[float | None]) -> list[Epoch]:
    best, epochs = float("inf"), []
    for number, loss in enumerate(losses, start=1):
        improved = loss is not None and loss < best
        best = min(best, loss) if loss is not None else best
        epochs.append(Epoch(number, loss, None, loss, None, None, None, 1e-3, 0.1, 10.0, improved, 0))
    return epochs


@pytest.mark.parametrize("most", [100, 101, 500, 2000])
def test_a_long_history_keeps_its_ends_its_best_and_its_peaks(most: int) -> None:
    draw = random.Random(1)
    losses: list[float | None] = [1 + draw.random() for _ in range(10_000)]
    losses[4321], losses[777] = 9.0, 0.1
    epochs = history(losses)
    chosen = sampled(epochs, most)
    numbers = [epoch.epoch for epoch in chosen]
    assert most * 0.9 < len(chosen) <= most
    assert numbers == sorted(set(numbers))
    assert {1, 4322, 778, 10_000} <= set(numbers)
    assert set(chosen) <= set(epochs)


def test_every_stretch_is_shown() -> None:
    numbers = [epoch.epoch for epoch in sampled(history([1.0] * 10_000), 200)]
    assert max(after - before for before, after in pairwise(numbers)) <= 2 * 10_000 / 98


def test_a_short_history_is_left_alone() -> None:
    epochs = history([3.0, 2.0, 1.0])
    assert sampled(epochs, 100) == epochs
    assert sampled([], 100) == []


@given(st.lists(st.none() | st.floats(0, 10), max_size=300), st.integers(5, 120))
def test_a_sample_is_within_its_limit_and_in_order(losses: list[float | None], most: int) -> None:
    epochs = history(losses)
    chosen = sampled(epochs, most)
    assert len(chosen) <= max(most, 0)
    assert [epoch.epoch for epoch in chosen] == sorted({epoch.epoch for epoch in chosen})
    assert chosen[:1] == epochs[:1]
    assert chosen[-1:] == epochs[-1:]
    kept = [epoch for epoch in epochs if epoch.improved][-1:]
    assert set(kept) <= set(chosen)
