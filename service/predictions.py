"""The published predictions of jobs and their evaluations; the most recently used ones are kept."""

import hashlib
import io
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from service.core.errors import InvalidData, NotFound, ObjectMissing, StorageError
from service.core.evaluation.evaluation import Evaluation, evaluate
from service.core.evaluation.outcomes import Outcomes, outcomes
from service.core.evaluation.predictions import PARTS, VALIDATION, Predictions, load, read, write_joined
from service.core.storage import Artifact, Storage
from service.core.text import GIB
from service.recent import Recent

MOST_MAPPED = GIB  # bytes of files, which are mapped and not in memory; those of S3 take room on the disk
MOST_EVALUATED = GIB // 8  # bytes of evaluations, and of outcomes; those of 100,000 images have 7 MB


@dataclass(frozen=True)
class OutOfFold:
    """The predictions of several jobs for their validation images, one job after the other."""

    jobs: tuple[Artifact, ...]

    @property
    def sha256(self) -> str:
        """A name of the content."""
        return hashlib.sha256("".join(artifact.sha256 for artifact in self.jobs).encode()).hexdigest()

    @property
    def bytes(self) -> int:
        """About the bytes of the content, at most."""
        return sum(artifact.bytes for artifact in self.jobs)


Source = Artifact | OutOfFold


class PredictionsReader:
    """Reads and evaluates predictions.npz from the storage. Safe in several threads."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._files, self._evaluations = Recent[Predictions](MOST_MAPPED), Recent[Evaluation](MOST_EVALUATED)
        self._outcomes = Recent[Outcomes](MOST_EVALUATED)
        self._evaluating = threading.Lock()  # one at a time, which bounds the memory

    def read(self, source: Source) -> Predictions:
        """The predictions of an artifact or of several. Raises StorageError."""
        if (held := self._files.get(source.sha256)) is not None:
            return held
        predictions = self._join(source) if isinstance(source, OutOfFold) else self._load(source)
        self._files.put(source.sha256, predictions, source.bytes)
        return predictions

    def write(self, source: Source, file: BinaryIO) -> None:
        """Write the predictions as predictions.npz. Raises StorageError."""
        try:
            write_joined([self.read(source)], file)
        except OSError as error:
            raise StorageError(f"the predictions cannot be written: {error.strerror}") from error

    def parts(self, source: Source) -> list[str]:
        """The parts of which there are images. Raises StorageError."""
        part = self.read(source).part
        return [name for name, code in PARTS.items() if (part == code).any()]

    def evaluate(self, source: Source, part: str) -> Evaluation:
        """The evaluation of a part. Raises NotFound if it has no image, and StorageError."""
        key = f"{source.sha256} {part}"
        with self._evaluating:
            if (held := self._evaluations.get(key)) is not None:
                return held
            if part not in (known := self.parts(source)):
                raise NotFound(
                    f"there are no {part} images in the predictions; there are: {', '.join(known) or 'none'}"
                )
            evaluation = evaluate(self.read(source), PARTS[part])
            self._evaluations.put(key, evaluation, evaluation.nbytes)
        return evaluation

    def outcomes(self, source: Source, part: str) -> Outcomes:
        """The outcomes of the images of a part, which may have none, without a temperature. Raises StorageError."""
        key = f"{source.sha256} {part}"
        with self._evaluating:
            if (held := self._outcomes.get(key)) is not None:
                return held
            scored = outcomes(self.read(source).of(PARTS[part]))
            self._outcomes.put(key, scored, scored.nbytes)
        return scored

    def _load(self, artifact: Artifact) -> Predictions:
        """Map the stored file itself where the storage is a folder, else a copy that is deleted when it is not used."""
        try:
            with self._storage.open(artifact.key) as stored:
                if _is_on_disk(stored):
                    return read(stored)
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / artifact.name
                self._storage.get(artifact, path)
                return load(path)
        except InvalidData as error:
            raise ObjectMissing(f"{artifact.key} is damaged: {error}") from error

    def _join(self, source: OutOfFold) -> Predictions:
        """Map a file with the validation images of all jobs, which is deleted when it is not used."""
        try:
            with tempfile.TemporaryFile() as file:
                write_joined([self.read(artifact).of(VALIDATION) for artifact in source.jobs], file)
                file.seek(0)
                return read(file)
        except OSError as error:
            raise StorageError(f"the predictions cannot be joined: {error.strerror}") from error


def _is_on_disk(file: BinaryIO) -> bool:
    try:
        file.fileno()
    except io.UnsupportedOperation:
        return False
    return True
