"""Reads the predictions that jobs have published, and keeps the most recently used ones in memory."""

import tempfile
import threading
from collections import OrderedDict
from pathlib import Path

from service.core.evaluation.predictions import Predictions, load
from service.core.storage import Artifact, Storage
from service.core.text import GIB

MOST_HELD = GIB // 4  # bytes of predictions in memory; a larger file is read for each request


class PredictionsReader:
    """Reads predictions.npz from the storage. Safe in several threads."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._held: OrderedDict[str, Predictions] = OrderedDict()  # by SHA-256
        self._bytes: dict[str, int] = {}
        self._lock = threading.Lock()

    def read(self, artifact: Artifact) -> Predictions:
        """The predictions of an artifact. Raises StorageError, and InvalidData if the file is not one."""
        with self._lock:
            if artifact.sha256 in self._held:
                self._held.move_to_end(artifact.sha256)
                return self._held[artifact.sha256]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / artifact.name
            self._storage.get(artifact, path)
            predictions = load(path)
        with self._lock:
            self._held[artifact.sha256], self._bytes[artifact.sha256] = predictions, artifact.bytes
            while sum(self._bytes.values()) > MOST_HELD:
                oldest, _ = self._held.popitem(last=False)
                del self._bytes[oldest]
        return predictions
