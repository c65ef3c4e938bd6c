"""The configurations that the search chooses from, and a few known to be good with which it starts."""

import math
from typing import Any, get_args

import optuna

from tests.benchmarks.fits.rival.config import Config, Schedule

LARGEST_WIDTH = 256  # channels of a convolution
MOST_BLOCKS = 4


def suggest(trial: optuna.trial.BaseTrial, side: int) -> Config:
    """The configuration of a trial for images of this side in pixels. Each block halves the side, to 1 at least."""
    blocks = trial.suggest_int("blocks", 1, min(MOST_BLOCKS, int(math.log2(side))))
    width = trial.suggest_categorical("width", (16, 32, 48, 64))
    return Config(
        channels=tuple(min(width * 2**block, LARGEST_WIDTH) for block in range(blocks)),
        hidden=trial.suggest_categorical("hidden", (0, 64, 128, 256)),
        batch_norm=trial.suggest_categorical("batch_norm", (True, False)),
        dropout=trial.suggest_float("dropout", 0.0, 0.6),
        lr=trial.suggest_float("lr", 3e-4, 3e-2, log=True),
        weight_decay=trial.suggest_float("weight_decay", 1e-4, 0.5, log=True),
        schedule=trial.suggest_categorical("schedule", get_args(Schedule)),
        label_smoothing=trial.suggest_float("label_smoothing", 0.0, 0.15),
        ema_decay=trial.suggest_categorical("ema_decay", (0.0, 0.98, 0.995)),
        batch_size=trial.suggest_categorical("batch_size", (16, 32, 64, 128)),
        shift=trial.suggest_int("shift", 0, max(1, side // 8)),
        rotation=trial.suggest_float("rotation", 0.0, 20.0),
        mirror=trial.suggest_categorical("mirror", (False, True)),
    )


def first_trials(side: int) -> list[dict[str, Any]]:
    """Parameters of the first trials: a plain good recipe, and one with stronger regularization and a mirror."""
    plain = {
        "blocks": min(3, int(math.log2(side))),
        "width": 32,
        "hidden": 0,
        "batch_norm": True,
        "dropout": 0.2,
        "lr": 5e-3,
        "weight_decay": 0.05,
        "schedule": "onecycle",
        "label_smoothing": 0.03,
        "ema_decay": 0.98,
        "batch_size": 32,
        "shift": max(1, side // 16),
        "rotation": 5.0,
        "mirror": False,
    }
    return [plain, plain | {"width": 48, "dropout": 0.4, "weight_decay": 0.1, "mirror": True}]
