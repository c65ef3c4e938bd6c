"""Optuna with Lightning: a warm process for each core, which share a study in a file, as its documentation advises."""

import os
import tempfile
from functools import partial
from pathlib import Path

import optuna
from joblib import Parallel, delayed
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from tests.benchmarks.peers.trials import Trials, answer

STUDY = "digits"
CORES = os.cpu_count() or 1


def run(parallel: Parallel, trials: Trials) -> None:
    with tempfile.TemporaryDirectory(prefix="rightfit-bench-") as folder:
        journal = str(Path(folder, "journal.log"))
        study = optuna.create_study(study_name=STUDY, storage=_storage(journal), direction="minimize")
        shares = [trials.jobs // CORES + (core < trials.jobs % CORES) for core in range(CORES)]
        parallel(delayed(_optimize)(journal, trials, share) for share in shares)
        if len(study.get_trials(states=[optuna.trial.TrialState.COMPLETE])) != trials.jobs:
            raise RuntimeError("a trial has failed")


def _optimize(journal: str, trials: Trials, share: int) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.load_study(study_name=STUDY, storage=_storage(journal))
    study.optimize(lambda trial: trials.train(trial.number), n_trials=share)


def _storage(journal: str) -> JournalStorage:
    return JournalStorage(JournalFileBackend(journal))


def main() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with Parallel(CORES) as parallel:
        answer(partial(run, parallel))


if __name__ == "__main__":
    main()
