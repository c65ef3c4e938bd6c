"""Which modules import which: at run time, and along every import statement of the code."""

import subprocess
import sys

import grimp

from tests.servers import ROOT

OURS_IN_TRAINING = (
    "service.core.spec",
    "service.core.errors",
    "service.core.records",
    "service.core.evaluation",  # the scores and the temperature of an epoch are those of the API
    "service.core.images",
    "service.core.text",  # numbers with their nouns, in messages
    "service.core.system",  # a process that loads images ends with the trainer
)


def modules_after_import(*names: str) -> set[str]:
    """All modules that a new process has loaded once it has imported these."""
    command = [sys.executable, "-m", "tests.loaded_modules", *names]
    return set(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split())


def test_api_does_not_import_torch() -> None:
    loaded = modules_after_import("service.app")
    assert "service.app" in loaded
    assert not {"torch", "sklearn", "onnxruntime", "matplotlib", "workers"} & loaded


def test_core_and_trainer_do_not_import_flask() -> None:
    core = ("service.core.sql.jobs.store", "service.core.broker.hints", "service.core.broker.wakeups")
    loaded = modules_after_import(*core, "workers.trainer.main")
    assert "workers.trainer.main" in loaded
    assert not {"flask", "marshmallow"} & loaded


def test_supervisor_imports_neither_torch_nor_flask() -> None:
    loaded = modules_after_import("workers.app")
    assert "workers.app" in loaded
    assert not {"flask", "marshmallow", "torch", "sklearn"} & loaded


def test_training_imports_only_pure_rooms_of_the_core() -> None:
    graph = grimp.build_graph("service", "workers")
    training = {module for module in graph.modules if module.startswith("workers.training")}
    assert "workers.training.loop" in training
    imported = {target for module in training for target in graph.find_modules_directly_imported_by(module)}
    assert all(module.startswith(OURS_IN_TRAINING) for module in imported - training), imported - training
