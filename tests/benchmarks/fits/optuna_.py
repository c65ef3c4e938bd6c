"""The rival in the comparison: a process of its own, in our environment, so that both have the same torch."""

import tempfile
from pathlib import Path

import numpy as np

from tests.benchmarks.fits.sets import ImageSet, write_arrays
from tests.benchmarks.fits.systems import Answer, Budget
from tests.benchmarks.processes import OURS, measure


def search(images: ImageSet, budget: Budget) -> Answer:
    """The best model of a search by Optuna. Raises ProcessFailed."""
    with tempfile.TemporaryDirectory(prefix="rightfit-bench-") as name:
        folder = Path(name)
        data, test, probabilities = folder / "data.npz", folder / "test.npy", folder / "probabilities.npy"
        write_arrays(images, data)
        np.save(test, images.test)
        options = {
            "--data": data,
            "--test": test,
            "--minutes": budget.minutes,
            "--seed": budget.seed,
            "--folder": folder,
            "--probabilities": probabilities,
        }
        words = [str(word) for option in options.items() for word in option]
        line = measure(OURS, "tests.benchmarks.fits.rival", words, threads=1).line
        return Answer(np.load(probabilities), line.pop("val_loss"), line)
