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
)


def modules_after(statement: str) -> set[str]:
    code = f"{statement}; import sys; print('\\n'.join(sys.modules))"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def test_there_is_no_torch_behind_the_api() -> None:
    loaded = modules_after("import service.app")
    assert "service.app" in loaded
    assert not {"torch", "sklearn", "onnxruntime", "matplotlib", "workers"} & loaded


def test_there_is_no_flask_behind_the_core_or_the_trainer() -> None:
    core = "service.core.sql.jobs.store, service.core.broker.hints, service.core.broker.wakeups"
    assert not {"flask", "marshmallow"} & modules_after(f"import {core}, workers.trainer.main")


def test_the_supervisor_process_stays_small() -> None:
    assert not {"flask", "marshmallow", "torch", "sklearn"} & modules_after("import workers.app")


def test_training_imports_only_specs_records_and_errors() -> None:
    graph = grimp.build_graph("service", "workers")
    training = {module for module in graph.modules if module.startswith("workers.training")}
    assert "workers.training.loop" in training
    imported = {target for module in training for target in graph.find_modules_directly_imported_by(module)}
    assert all(module.startswith(OURS_IN_TRAINING) for module in imported - training), imported - training
