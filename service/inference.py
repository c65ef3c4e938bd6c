"""Predictions of published models for new pictures, from their ONNX graphs and without torch."""

import json
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from service.core import images
from service.core.errors import Conflict, Fault, Invalid, InvalidData
from service.core.evaluation.softmax import softmax
from service.core.storage import Artifact, Storage
from service.core.text import GIB
from service.recent import Recent

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

MOST_HELD = GIB  # of graphs in memory
AT_ONCE, PIXELS_AT_ONCE = 16, 1 << 18  # images in one batch, and their pixels; a batch has at least one image
MOST_SECONDS = 20.0  # of computing to read the pictures of one request; a photograph takes 0.1
LOGITS = "logits"  # the output of every graph
MODES = {1: "L", 3: "RGB"}  # by the channels of a model


@dataclass(frozen=True)
class Picture:
    """An encoded picture of a request."""

    name: str
    data: bytes


@dataclass(frozen=True)
class Prediction:
    """The prediction for one picture. `probabilities` are by class, in the order of the classes, as `logits` are."""

    name: str
    label: str
    probability: float
    probabilities: dict[str, float]
    logits: tuple[float, ...]


@dataclass(frozen=True)
class _Model:
    session: "InferenceSession"
    input: str
    classes: tuple[str, ...]
    shape: tuple[int, int, int]
    preprocessing: images.Preprocessing
    resize: str


@dataclass
class _Reader:
    """Reads the pictures of one request. `turn` is held while a large picture is decoded."""

    model: _Model
    turn: threading.Lock
    faults: list[Fault] = field(default_factory=list)
    _seconds: float = 0.0

    def read(self, pictures: Sequence[Picture], start: int) -> NDArray[np.float32]:
        """float32 [N, C, H, W] with pixels from 0 to 1, read and resized as for training.

        A broken picture adds a fault, and its pixels are arbitrary. `start` is the number of the first picture. Raises
        Invalid once the pictures of the request have taken MOST_SECONDS.
        """
        stacked = np.empty((len(pictures), *self.model.shape), np.float32)
        for i, picture in enumerate(pictures):
            if self._seconds > MOST_SECONDS:
                detail = f"the pictures before this one take more than {MOST_SECONDS:g} s to read"
                raise Invalid(
                    [*self.faults, Fault(f"/{start + i}", detail, "fewer or smaller pictures in one request")]
                )
            began = time.thread_time()
            try:
                self._read(picture, stacked[i])
            except InvalidData as error:
                self.faults.append(Fault(f"/{start + i}", f"{picture.name}: {error}", "a picture"))
            self._seconds += time.thread_time() - began
        return stacked

    def _read(self, picture: Picture, target: NDArray[np.float32]) -> None:
        channels, height, width = self.model.shape
        image = images.read(picture.data, self.model.preprocessing, self.turn).image
        sized = images.resized(image.convert(MODES[channels]), width, height, self.model.resize)
        pixels = np.asarray(sized, np.float32).reshape(height, width, channels)
        np.divide(pixels.transpose(2, 0, 1), 255, out=target)


class Predictor:
    """Loads a model at its first use and keeps the most recently used ones in memory."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._models, self._loading = Recent[_Model](MOST_HELD), threading.Lock()
        self._large = threading.Lock()  # held while a large picture is decoded: one at a time, to limit the memory

    def predict(
        self, graph: Artifact, report: Artifact, pictures: Sequence[Picture], temperature: float = 1.0
    ) -> list[Prediction]:
        """One prediction for each picture, from the logits divided by the temperature.

        Raises Invalid with a fault for each broken picture, and StorageError.

        It works batch by batch, so the memory is that of one batch, however many pictures there are.
        """
        model = self._model(graph, report)
        step = max(1, min(AT_ONCE, PIXELS_AT_ONCE // (model.shape[1] * model.shape[2])))
        reader = _Reader(model, self._large)
        predictions: list[Prediction] = []
        for start in range(0, len(pictures), step):
            batch = pictures[start : start + step]
            stacked = reader.read(batch, start)
            if reader.faults:  # the other pictures are read all the same, to name every broken one
                continue
            (logits,) = model.session.run([LOGITS], {model.input: stacked})
            shares = softmax(np.asarray(logits, np.float64) / temperature)
            predictions += map(_prediction, batch, logits, shares, [model.classes] * len(shares))
        if reader.faults:
            raise Invalid(reader.faults)
        return predictions

    def _model(self, graph: Artifact, report: Artifact) -> _Model:
        if held := self._models.get(graph.sha256):
            return held
        with self._loading:  # one at a time: a waiting request then finds the model loaded
            if held := self._models.get(graph.sha256):
                return held
            model = self._load(graph, report)
            self._models.put(graph.sha256, model, graph.bytes)
            return model

    def _load(self, graph: Artifact, report: Artifact) -> _Model:
        if graph.bytes > MOST_HELD:
            raise Conflict("the model is too large to run here; download model.onnx and run it with onnxruntime")
        import onnxruntime  # noqa: PLC0415 - large, and only needed here

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # several requests run in parallel
        options.enable_cpu_mem_arena = False  # the arena never shrinks
        with tempfile.TemporaryDirectory() as folder:
            for artifact in (graph, report):
                self._storage.get(artifact, Path(folder) / artifact.name)
            content: dict[str, Any] = json.loads((Path(folder) / report.name).read_bytes())
            session = onnxruntime.InferenceSession(
                Path(folder) / graph.name, options, providers=["CPUExecutionProvider"]
            )
        channels, height, width = content["data"]["shape"]
        preprocessing = content.get("preprocessing", {})
        return _Model(
            session,
            session.get_inputs()[0].name,
            tuple(content["data"]["classes"]),
            (channels, height, width),
            images.Preprocessing.from_dict(preprocessing),
            preprocessing.get("resize", images.SQUARE),  # absent in reports of release 0.1.0
        )


def _prediction(
    picture: Picture, logits: NDArray[np.float32], probabilities: NDArray[np.float64], classes: tuple[str, ...]
) -> Prediction:
    best = int(probabilities.argmax())
    by_class = dict(zip(classes, probabilities.tolist(), strict=True))
    return Prediction(picture.name, classes[best], float(probabilities[best]), by_class, tuple(logits.tolist()))
