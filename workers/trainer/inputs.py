"""The inputs of a run, as its spec describes them: data, model, and facts about the data."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from service.core.records.facts import Facts
from service.core.spec import JobSpec, Torchvision
from service.core.spec.models import weights_of
from workers.datasets.room import PackRoom
from workers.trainer.training_process import TrainingProcess
from workers.training.data import DataPaths
from workers.training.data.batches import Batches
from workers.training.data.prepare import Prepared, prepare
from workers.training.facts import facts
from workers.training.loop import TrainingData
from workers.training.models import build_model
from workers.training.models.starting_weights import load_weights, read_weights
from workers.training.models.whitening import whiten

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Start:
    """The weights that a run starts from: their id, the SHA-256 of their file, and whether they have the last layer."""

    weights: str | None
    sha256: str
    has_last_layer: bool


@dataclass(frozen=True)
class Inputs:
    """The prepared data, a function from image indices to batches on the device, the model on the device, the facts.

    `start` are the weights that the run starts from, None if its spec names none by an id.
    """

    prepared: Prepared
    batches: Callable[[Tensor], Batches]
    model: nn.Module
    facts: Facts
    start: Start | None = None

    def training_data(self, *, with_clean: bool) -> TrainingData:
        """The parts of the data that the loop uses; `with_clean`: also the training images scored as validation is."""
        return TrainingData(
            train=self.batches(self.prepared.split.train),
            validation=self.batches(self.prepared.split.validation),
            clean=self.batches(self.prepared.clean) if with_clean else None,
            digest=self.prepared.digest,
        )


def load_inputs(process: TrainingProcess, digest: str | None = None) -> Inputs:
    """Load the data and build the model. The leading process of a group goes first, so that it alone downloads.

    `digest` is the digest of the data of the checkpoint to resume from.

    Raises TrainingError and OSError.
    """
    args, spec, group = process.args, process.spec, process.group
    log.info("%s on %s, data set %s", spec.model.arch, process.device, spec.dataset.id)
    pack = Path(args.pack) if args.pack else None
    room = PackRoom(Path(args.packs), args.cache_bytes, args.disk_reserve_bytes)
    # Resized images stay as long as the pack does.
    places = DataPaths(pack, pack or Path(), Path(args.library), room.make)
    prepared = group.in_turn(lambda: prepare(spec, places, digest))
    for note in prepared.notes if group.leads else ():
        log.warning("%s", note)
    images = prepared.images
    batches = prepared.on(process.device, args.resident_bytes, group.size * args.sharers)
    model = group.in_turn(lambda: build_model(spec, images.shape, len(images.classes)))
    whiten(model, images, prepared.split.train, prepared.normalization)
    start = _load_weights(model, spec, Path(args.weights), images.classes) if args.weights else None
    model.to(process.device).to(memory_format=torch.channels_last)
    return Inputs(prepared, batches, model, Facts.from_dict(facts(prepared)), start)


def _load_weights(model: nn.Module, spec: JobSpec, folder: Path, classes: tuple[str, ...]) -> Start:
    weights = read_weights(folder, has_own_names=isinstance(spec.model, Torchvision))
    start = Start(weights_of(spec.model), weights.sha256, load_weights(model, weights, classes))
    log.info("starts from %s, with %s last layer", start.weights, "its" if start.has_last_layer else "a new")
    return start
