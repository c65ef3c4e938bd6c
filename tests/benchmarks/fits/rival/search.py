"""The search: TPE with Hyperband, in a process for each core. They share a study in a file until the time is over."""

import math
import multiprocessing
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import optuna
import torch
from optuna.pruners import HyperbandPruner
from optuna.samplers import TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from torch import nn

from tests.benchmarks.fits.rival.config import Config
from tests.benchmarks.fits.rival.network import network
from tests.benchmarks.fits.rival.space import first_trials, suggest
from tests.benchmarks.fits.rival.training import Data, train

STUDY = "rival"
PATIENCE_SHARE = 0.4  # of the epochs of a full trial, without a better one, end it
BRACKETS_FACTOR, REDUCTION = 9, 3  # a full trial has 9 times the epochs of the first rung: three brackets
RANDOM_TRIALS = 5  # of each bracket, whose trials the sampler sees alone


@dataclass
class Search:
    """What the processes of one search share. Files go into `folder`; `deadline` is in seconds of time.monotonic."""

    data: Data
    epochs: int
    seed: int
    deadline: float
    folder: Path

    def study(self, process: int) -> optuna.Study:
        """The shared study, with a sampler for this process. The first call makes it."""
        storage = JournalStorage(JournalFileBackend(str(self.folder / "journal.log")))
        rung = max(1, self.epochs // BRACKETS_FACTOR)
        return optuna.create_study(
            storage=storage,
            study_name=STUDY,
            load_if_exists=True,
            sampler=TPESampler(
                seed=1000 * self.seed + process, multivariate=True, constant_liar=True, n_startup_trials=RANDOM_TRIALS
            ),
            pruner=HyperbandPruner(min_resource=rung, max_resource=self.epochs, reduction_factor=REDUCTION),
        )


@dataclass(frozen=True)
class Winner:
    """The best epoch of all trials."""

    model: nn.Module
    val_loss: float
    config: Config


def search(task: Search) -> Winner:
    """Search with one process for each core until the deadline; returns the best model.

    Raises RuntimeError if a process fails, or if no epoch ends in time.
    """
    study = task.study(0)
    for parameters in first_trials(task.data.train.shape[-1]):
        study.enqueue_trial(parameters)
    fork = multiprocessing.get_context("fork")  # torch is imported already; it has not computed with threads
    processes = [fork.Process(target=_work, args=(task, number)) for number in range(len(os.sched_getaffinity(0)))]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    if any(process.exitcode for process in processes):
        raise RuntimeError(f"processes of the search ended with {[process.exitcode for process in processes]}")
    kept = [torch.load(path, weights_only=True) for path in task.folder.glob("best-*.pt")]
    if not kept:
        raise RuntimeError("no epoch of a trial ended before the deadline")
    return _restored(min(kept, key=lambda one: one["val_loss"]), task.data)


def _work(task: Search, number: int) -> None:
    """One process: trial after trial until the deadline. The best epoch of all its trials is on disk."""
    target, least = task.folder / f"best-{number}.pt", math.inf

    def objective(trial: optuna.Trial) -> float:
        nonlocal least
        torch.manual_seed(1000 * task.seed + trial.number)
        config = suggest(trial, task.data.train.shape[-1])
        best, best_epoch = math.inf, 0
        for epoch, (val_loss, model) in enumerate(train(config, task.data, task.epochs, task.deadline), start=1):
            if val_loss < best:
                best, best_epoch = val_loss, epoch
            if val_loss < least:
                least = val_loss
                torch.save({"val_loss": val_loss, "config": asdict(config), "weights": model.state_dict()}, target)
            trial.report(best, epoch)
            if trial.should_prune() or not math.isfinite(val_loss):
                raise optuna.TrialPruned
            if epoch - best_epoch > PATIENCE_SHARE * task.epochs:
                break
        if not best_epoch:
            raise optuna.TrialPruned
        return best

    task.study(number + 1).optimize(objective, timeout=max(0.0, task.deadline - time.monotonic()))


def _restored(kept: dict[str, Any], data: Data) -> Winner:
    config = Config(**kept["config"])
    model = network(config, data.train, data.classes)
    model.load_state_dict(kept["weights"])
    return Winner(model, kept["val_loss"], config)
