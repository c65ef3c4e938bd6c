"""`python -m tests.benchmarks.noise_fits`: fits on data whose labels are noise. At most one in twenty may claim a gain.

Each fit has images and labels of its own: digits of scikit-learn with shuffled labels. No model can be better than
another on new images, so each proved gain is a false one.
"""

import argparse
import math
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from service.client import Rightfit
from service.core.settings import Settings
from service.stack.standalone import Stack
from tests.benchmarks import data
from tests.benchmarks.processes import OURS, ROOT, measure
from tests.benchmarks.report import table

Json = dict[str, Any]

IMAGES = 300  # of each fit
BUDGETS: Json = {"jobs": 8, "minutes": 0.5}
SPEC = {"epochs": 8, "model": {"arch": "mlp", "hidden": [16]}}
AT_MOST = 1 / 20  # of the fits


@dataclass(frozen=True)
class Outcome:
    """A fit: whether it claims a gain, the gain with its interval in nats, and its test loss with its interval."""

    seed: int
    is_proved: bool
    gain: float
    interval: tuple[float, float]
    test_loss: float
    test_interval: tuple[float, float]


def noise_fit(client: Rightfit, seed: int, folder: Path, budget: Json) -> Outcome:
    """A fit on noise of its own, to its end. `budget` are its `jobs` or its `minutes`. Raises RuntimeError if it does
    not succeed.
    """
    images, labels = data.digits()
    draw = np.random.default_rng(seed)
    chosen = draw.permutation(len(labels))[:IMAGES]
    path = folder / f"noise-{seed}.npz"
    np.savez(path, x=images[chosen, 0], y=draw.permutation(labels[chosen]))
    dataset = client.dataset_ready(client.upload(path)["id"])
    found = client.fits.wait(client.fits.submit(dataset["id"], **budget, spec=SPEC, seed=seed)["id"])
    if found["status"] != "succeeded" or found["gain"] is None:
        raise RuntimeError(f"fit {found['id']} ended as {found['status']}: {found['error'] or found['summary']}")
    gain, test = found["gain"], found["test"]
    return Outcome(
        seed, gain["is_proved"], gain["val_loss"], tuple(gain["interval"]), test["loss"], tuple(test["loss_interval"])
    )


@contextmanager
def _serving(folder: Path) -> Iterator[Rightfit]:
    settings = Settings.from_env({"RIGHTFIT_HOME": str(folder / "home")})
    with Stack(replace(settings, port=0)) as stack, Rightfit(stack.url) as client:
        yield client


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fits", type=int, default=20)
    parser.add_argument("--budget", choices=BUDGETS, default="jobs")
    parser.add_argument("--results", type=Path, default=ROOT / "tests/benchmarks/results")
    given = parser.parse_args()
    about = measure(OURS, "tests.benchmarks.machine", ()).line
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory(prefix="rightfit-noise-") as folder, _serving(Path(folder)) as client:
        for seed in range(given.fits):
            outcomes.append(noise_fit(client, seed, Path(folder), {given.budget: BUDGETS[given.budget]}))
            print(outcomes[-1], flush=True)
    name = f"{datetime.now(UTC):%Y-%m-%d}-{about['slug']}-noise-fits-{given.budget}.md"
    (given.results / name).write_text(_report(outcomes, given.budget))
    return int(sum(outcome.is_proved for outcome in outcomes) > math.floor(AT_MOST * len(outcomes)))


def _report(outcomes: list[Outcome], budget: str) -> str:
    claims = sum(outcome.is_proved for outcome in outcomes)
    head = (
        f"# Fits on labels that are noise\n\n`python -m tests.benchmarks.noise_fits --budget {budget}`: {claims} of "
        f"{len(outcomes)} fits claim a gain. Each has {IMAGES} digits with shuffled labels and a budget of "
        f"{BUDGETS[budget]:g} {budget}."
    )
    names = ("seed", "claims a gain", "gain, nats", "interval", "test loss", "95 % interval")
    return f"{head}\n\n{table(names, [_cells(outcome) for outcome in outcomes])}\n"


def _cells(one: Outcome) -> list[str]:
    gain = [f"{one.gain:+.3f}", f"{one.interval[0]:+.3f} to {one.interval[1]:+.3f}"]
    test = [f"{one.test_loss:.3f}", f"{one.test_interval[0]:.3f} to {one.test_interval[1]:.3f}"]
    return [str(one.seed), "yes" if one.is_proved else "no", *gain, *test]


if __name__ == "__main__":
    sys.exit(main())
