"""Who may import whom, seen from inside a process and along every import in the code."""

import subprocess
import sys

import grimp

OURS_IN_TRAINING = (
    "service.core.spec",
    "service.core.errors",
    "service.core.records.dataset",
    "service.core.records.builtin_datasets",
    "service.core.records.epoch",
    "service.core.files",
)


def modules_after(statement: str) -> set[str]:
    code = f"{statement}; import sys; print('\\n'.join(sys.modules))"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def test_api_does_not_import_torch() -> None:
    loaded = modules_after("import service.app")
    assert "service.app" in loaded
    assert not {"torch", "sklearn", "onnxruntime", "matplotlib", "workers"} & loaded


def test_core_and_trainer_do_not_import_flask() -> None:
    core = "service.core.sql.jobs.store, service.core.broker.hints, service.core.broker.wakeups"
    assert not {"flask", "marshmallow"} & modules_after(f"import {core}, workers.trainer.main")


def test_supervisor_imports_neither_torch_nor_flask() -> None:
    assert not {"flask", "marshmallow", "torch", "sklearn"} & modules_after("import workers.app")


def test_training_imports_only_pure_rooms_of_the_core() -> None:
    graph = grimp.build_graph("service", "workers")
    training = {module for module in graph.modules if module.startswith("workers.training")}
    assert "workers.training.loop" in training
    imported = {target for module in training for target in graph.find_modules_directly_imported_by(module)}
    assert all(module.startswith(OURS_IN_TRAINING) for module in imported - training), imported - training
