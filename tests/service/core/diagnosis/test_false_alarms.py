"""Runs in which nothing goes wrong are hardly ever called overfitting, overconfident or unstable."""

import math
import random
from collections.abc import Callable

from service.core.diagnosis import Diagnosis, Verdict
from tests.golden import synthetic
from tests.service.core.diagnosis.made import diagnosed, history

ALARMS = (Verdict.OVERFITTING, Verdict.OVERCONFIDENT, Verdict.UNSTABLE)


def alarms(count: int, draw: Callable[[random.Random], Diagnosis]) -> float:
    return sum(draw(random.Random(seed)).verdict in ALARMS for seed in range(count)) / count


def noise(r: random.Random) -> Diagnosis:
    """A validation loss of noise about its level, in 3 to 120 epochs; so is training loss, or it falls."""
    epochs, deviation = round(math.exp(r.uniform(math.log(3), math.log(120)))), r.uniform(0.01, 0.3)
    level, rate = r.uniform(0.2, 1.0), r.choice([1.0, 0.97, 0.9])
    val = [max(1e-3, level * (1 + r.gauss(0, deviation))) for _ in range(epochs)]
    train = [max(1e-3, level * rate**i * (1 + r.gauss(0, deviation / 3))) for i in range(epochs)]
    right = [min(1.0, max(0.0, r.gauss(0.75, 0.01))) for _ in range(epochs)]
    return diagnosed(history(train, val, right, se=0.02 if r.random() < 0.5 else None), 10)


def healthy(r: random.Random) -> Diagnosis:
    """Both losses come down and stay together."""
    epochs, deviation, end = r.randint(5, 150), r.uniform(0.003, 0.03), r.uniform(0.02, 0.15)
    speed = r.uniform(4, 30) / epochs
    level = [2.3 * ((1 - end) * math.exp(-speed * i) + end) for i in range(epochs)]
    val = [loss * (1 + r.gauss(0, deviation)) for loss in level]
    train = [loss * (0.9 + r.gauss(0, deviation / 3)) for loss in level]
    right = [min(1.0, 0.97 - 0.8 * (loss / 2.3 - end) + r.gauss(0, 0.004)) for loss in level]
    return diagnosed(history(train, val, right, se=0.01 if r.random() < 0.5 else None), 10)


def test_noise_alone_raises_no_alarm() -> None:
    assert alarms(1000, noise) < 0.02


def test_healthy_runs_raise_no_alarm() -> None:
    assert alarms(200, healthy) < 0.02
    kinds = ("healthy", "improving", "handicapped")
    drawn = [diagnosed(synthetic.history(kind, seed)[0], 10) for kind in kinds for seed in range(30)]
    assert not [found.summary for found in drawn if found.verdict in ALARMS]


def test_a_real_rise_raises_the_alarm() -> None:
    def rising(r: random.Random) -> Diagnosis:
        val = [0.5 + 0.015 * i + r.gauss(0, 0.02) for i in range(25)]
        return diagnosed(history([0.5 * 0.9**i for i in range(25)], val, 0.8), 10)

    assert alarms(50, rising) > 0.95
