"""torch's compiler takes longer to import than a small job to train: only a job that compiles may load it."""

import time
from pathlib import Path
from typing import Any

import pytest

from tests.workers.bench import ForkServer
from tests.workers.training.small import EVERY_AUGMENTATION, EVERY_REGULARIZATION, spec
from workers.messages import Ended
from workers.supervisor.trainer_handle import ImportedByName
from workers.trainer_args import TrainerArgs

COMPILER = "torch._dynamo"
JOBS: dict[str, dict[str, Any]] = {
    "adam": {"model": {"arch": "cnn", "channels": [4], "hidden": [8]}},
    "sgd with every option": {
        "optimizer": {"name": "sgd", "lr": 0.01, "momentum": 0.9},
        "regularization": EVERY_REGULARIZATION,
        "augmentation": EVERY_AUGMENTATION,
    },
    "a network of torchvision": {
        "model": {"arch": "squeezenet1_1"},
        "augmentation": {"trivial_augment": True},
        "epochs": 1,
    },
}


@pytest.mark.parametrize("job", JOBS)
def test_a_job_does_not_load_the_compiler(job: str, fork_server: ForkServer, tmp_path: Path) -> None:
    context, _ = fork_server
    stored = spec(**JOBS[job] | {"device": "cpu"}).to_dict()
    args = TrainerArgs("j", 1, "w", stored, str(tmp_path), 1, time.monotonic() + 600, 600.0, str(tmp_path / "graphs"))
    ours, theirs = context.Pipe()
    entry = ImportedByName("tests.workers.trainer.loaded_after_a_job:main_then_modules")
    process = context.Process(target=entry, args=(args, theirs))
    process.start()
    theirs.close()
    reports: list[object] = []
    while not isinstance(loaded := ours.recv(), frozenset):
        reports += loaded
    process.join()
    assert any(isinstance(report, Ended) for report in reports)  # the thread that counts steps goes on after it
    assert "torchvision" in loaded
    assert COMPILER not in loaded
