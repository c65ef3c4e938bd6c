"""The rival: Optuna's TPE and Hyperband over a fast plain loop, in plain torch and without Rightfit.

`python -m tests.benchmarks.fits.rival` searches for the given minutes on the images for training and validation. Then
it writes the probabilities of the test images, which it reads last and without their labels. The last line is JSON.
"""

import argparse
import json
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import numpy as np
import optuna
import torch

from tests.benchmarks.fits.rival.search import Search, search
from tests.benchmarks.fits.rival.training import as_images, load, logits

EPOCHS = 40  # of a full trial: enough for one-cycle on small sets


def main() -> None:
    given = options()
    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    data = load(given.data)
    deadline = time.monotonic() + 60 * given.minutes
    task = Search(data, given.epochs, given.seed, deadline, given.folder)
    winner = search(task)
    trials = Counter(trial.state.name.lower() for trial in task.study(0).trials)
    test = as_images(np.load(given.test))
    np.save(given.probabilities, logits(winner.model, test).softmax(1).numpy())
    print(json.dumps({"trials": trials, "val_loss": winner.val_loss, "config": asdict(winner.config)}))


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="npz with the images for training and validation")
    parser.add_argument("--test", type=Path, required=True, help="npy with the test images")
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--epochs", type=int, default=EPOCHS, help="of a full trial")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True, help="for the study and the best models")
    parser.add_argument("--probabilities", type=Path, required=True, help="npy to write: float32 [N, classes]")
    return parser.parse_args()


if __name__ == "__main__":
    main()
