"""A small network that a job has published, for tests of predictions."""

import json
from pathlib import Path

import torch

from service.core.evaluation.predictions import Predictions
from service.core.records.artifact_names import PREDICTIONS
from service.core.records.job import Outcome, Status, StopReason
from service.core.spec import JobSpec
from service.services import Services
from tests.service.worker_steps import claim
from workers.training.data.normalization import Normalization
from workers.training.export import save_onnx
from workers.training.models import build_model

CLASSES = ["one", "two", "three"]
SHAPE = (3, 6, 4)


def small_network() -> torch.nn.Module:
    """An untrained network for images of SHAPE."""
    spec = JobSpec.from_dict({"dataset": {"id": "digits"}, "model": {"channels": [4], "hidden": []}}).filled(1)
    return build_model(spec, SHAPE, len(CLASSES)).eval()


def finish_with(
    services: Services, network: torch.nn.Module, folder: Path, predictions: Predictions | None = None
) -> None:
    """End the next job in success with the network and its predictions, written by way of this folder."""
    lease = claim(services)
    samples = torch.zeros(2, *SHAPE, dtype=torch.uint8)
    save_onnx(network, Normalization.none(SHAPE[0]), samples, folder / "model.onnx")
    (folder / "report.json").write_text(json.dumps({"data": {"classes": CLASSES, "shape": list(SHAPE)}}))
    names = ["model.onnx", "report.json"]
    if predictions:
        with (folder / PREDICTIONS).open("wb") as file:
            predictions.save(file)
        names.append(PREDICTIONS)
    published = [services.storage.put(f"jobs/{lease.job_id}/a1/{name}", folder / name) for name in names]
    services.store.leases.finish(lease, Outcome(Status.SUCCEEDED, StopReason.MAX_EPOCHS), published)
