"""The published predictions of jobs and their evaluations; the most recently used ones are kept."""

import io
import tempfile
import threading
from pathlib import Path
from typing import BinaryIO

from service.core.errors import InvalidData, NotFound, ObjectMissing
from service.core.evaluation.evaluation import Evaluation, evaluate
from service.core.evaluation.outcomes import Outcomes, outcomes
from service.core.evaluation.predictions import PARTS, Predictions, load, read
from service.core.storage import Artifact, Storage
from service.core.text import GIB
from service.recent import Recent

MOST_MAPPED = GIB  # bytes of files, which are mapped and not in memory; those of S3 take room on the disk
MOST_EVALUATED = GIB // 8  # bytes of evaluations, and of outcomes; those of 100,000 images have 7 MB


class PredictionsReader:
    """Reads and evaluates predictions.npz from the storage. Safe in several threads."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._files, self._evaluations = Recent[Predictions](MOST_MAPPED), Recent[Evaluation](MOST_EVALUATED)
        self._outcomes = Recent[Outcomes](MOST_EVALUATED)
        self._evaluating = threading.Lock()  # one at a time, which bounds the memory

    def read(self, artifact: Artifact) -> Predictions:
        """The predictions of an artifact. Raises StorageError."""
        if (held := self._files.get(artifact.sha256)) is not None:
            return held
        try:
            predictions = self._load(artifact)
        except InvalidData as error:
            raise ObjectMissing(f"{artifact.key} is damaged: {error}") from error
        self._files.put(artifact.sha256, predictions, artifact.bytes)
        return predictions

    def parts(self, artifact: Artifact) -> list[str]:
        """The parts of which there are images. Raises StorageError."""
        part = self.read(artifact).part
        return [name for name, code in PARTS.items() if (part == code).any()]

    def evaluate(self, artifact: Artifact, part: str) -> Evaluation:
        """The evaluation of a part. Raises NotFound if it has no image, and StorageError."""
        key = f"{artifact.sha256} {part}"
        with self._evaluating:
            if (held := self._evaluations.get(key)) is not None:
                return held
            if part not in (known := self.parts(artifact)):
                raise NotFound(f"the job has no {part} images; it has: {', '.join(known) or 'none'}")
            evaluation = evaluate(self.read(artifact), PARTS[part])
            self._evaluations.put(key, evaluation, evaluation.nbytes)
        return evaluation

    def outcomes(self, artifact: Artifact, part: str) -> Outcomes:
        """The outcomes of the images of a part, which may have none, without a temperature. Raises StorageError."""
        key = f"{artifact.sha256} {part}"
        with self._evaluating:
            if (held := self._outcomes.get(key)) is not None:
                return held
            scored = outcomes(self.read(artifact).of(PARTS[part]))
            self._outcomes.put(key, scored, scored.nbytes)
        return scored

    def _load(self, artifact: Artifact) -> Predictions:
        """Map the stored file itself where the storage is a folder, else a copy that is deleted when it is not used."""
        with self._storage.open(artifact.key) as stored:
            if _is_on_disk(stored):
                return read(stored)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / artifact.name
            self._storage.get(artifact, path)
            return load(path)


def _is_on_disk(file: BinaryIO) -> bool:
    try:
        file.fileno()
    except io.UnsupportedOperation:
        return False
    return True
