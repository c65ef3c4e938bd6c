"""The steps of a worker, one call each: tests that run without a worker process take its part with them."""

import tempfile
import threading
from pathlib import Path

from service.core.evaluation.predictions import Predictions
from service.core.records.artifact_names import BEST_MODEL, PREDICTIONS
from service.core.records.epoch import Epoch
from service.core.records.job import Outcome, Status, StopReason
from service.core.records.lease import Lease
from service.core.storage import Artifact
from service.services import Services
from workers.datasets.cache import DatasetCache
from workers.datasets.reader_loop import DatasetReader

CACHE_BYTES = 1 << 30


def claim(services: Services) -> Lease:
    """Take the next job; fails where none waits."""
    lease = services.store.leases.claim("worker", 60)
    assert lease is not None
    return lease


def epoch(number: int, val_loss: float, *, improved: bool = False) -> Epoch:
    """A measured epoch with this number and validation loss."""
    measured = {
        "epoch": number,
        "train_loss": 0.5,
        "train_loss_clean": 0.4,
        "val_loss": val_loss,
        "train_accuracy": 0.9,
        "val_accuracy": 0.8,
        "penalty": 0.0,
        "lr": 1e-3,
        "seconds": 0.1,
        "images_per_second": 10.0,
        "improved": improved,
        "epochs_without_improvement": 0,
    }
    return Epoch.measured(measured)


def finish(
    services: Services,
    lease: Lease,
    folder: Path,
    content: bytes = b"weights",
    predictions: Predictions | None = None,
) -> None:
    """End a job in success with `best_model.pth`, and `predictions.npz` if there are any, written by way of this
    folder.
    """
    (folder / BEST_MODEL).write_bytes(content)
    artifacts = [services.storage.put(f"jobs/{lease.job_id}/a{lease.attempt}/{BEST_MODEL}", folder / BEST_MODEL)]
    if predictions is not None:
        artifacts.append(published_predictions(services, lease, predictions))
    services.store.leases.finish(lease, Outcome(Status.SUCCEEDED, StopReason.MAX_EPOCHS), artifacts)


def published_predictions(services: Services, lease: Lease, predictions: Predictions) -> Artifact:
    """Put `predictions.npz` of a job into the storage."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / PREDICTIONS
        with path.open("wb") as file:
            predictions.save(file)
        return services.storage.put(f"jobs/{lease.job_id}/a{lease.attempt}/{PREDICTIONS}", path)


def dataset_cache(services: Services) -> DatasetCache:
    """The cache of a worker on this machine."""
    return DatasetCache(services.settings.home / "datasets", services.catalog, services.storage, CACHE_BYTES)


def read_datasets(services: Services, stop: threading.Event | None = None) -> None:
    """Read every uploaded data set that waits, or until stopped."""
    stop = stop or threading.Event()
    cache = dataset_cache(services)
    stores = (services.catalog, services.weights)
    reader = DatasetReader(services.settings, *stores, services.storage, cache, services.wakeups, "worker")
    while reader.read_next(stop):
        pass
