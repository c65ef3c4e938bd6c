"""`python -m workers.tools.verify FOLDER [PACK]`: does best_model.pth reproduce the val_loss in report.json?

PACK is the folder of a data set that was sent to the service, as a worker keeps it. Loads the weights with
weights_only=True, builds the data and the network again from the report's spec, and scores. Prints one line of JSON;
exits 1 where the losses differ by more than rounding.
"""

import json
import math
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from service.core.records.artifact_names import BEST_MODEL, REPORT
from service.core.spec import JobSpec, Torchvision
from workers.training.checkpoint import load_tensors
from workers.training.data import DataPaths
from workers.training.data.prepare import Prepared, data_digest, prepare
from workers.training.evaluate import evaluate, scoring_batch
from workers.training.models import build_model

RELATIVE_TOLERANCE = 1e-5  # float32 sums in another order, on another device


def verify(folder: Path, pack: Path | None = None) -> tuple[float, float]:
    """(recorded, recomputed) validation loss of the best model, computed on the CPU."""
    report = json.loads((folder / REPORT).read_text())
    spec = JobSpec.from_dict(report["spec"])
    if isinstance(spec.model, Torchvision):  # the weights are all here: none need be fetched to start from
        spec = replace(spec, model=replace(spec.model, pretrained=False, weights=None))
    with tempfile.TemporaryDirectory() as scratch:
        prepared = prepare(spec, DataPaths(pack, Path(scratch)), _digest(report["data"]))
        return report["best"]["val_loss"], _score(spec, folder, prepared)


def _digest(recorded: Mapping[str, Any]) -> str:
    return data_digest(recorded["sha256"], {name: part["sha256"] for name, part in recorded["split"].items()})


def _score(spec: JobSpec, folder: Path, prepared: Prepared) -> float:
    model = build_model(spec, prepared.images.shape, len(prepared.images.classes))
    model.load_state_dict(load_tensors(folder / BEST_MODEL))
    model.to(memory_format=torch.channels_last)
    validation = prepared.on(torch.device("cpu"))(prepared.split.validation)
    return evaluate(model, validation, scoring_batch(validation, spec.batch_size), spec.test_time_augmentation).loss


def main(folder: str, pack: str | None = None) -> int:
    recorded, recomputed = verify(Path(folder), Path(pack) if pack else None)
    agree = math.isclose(recorded, recomputed, rel_tol=RELATIVE_TOLERANCE)
    print(json.dumps({"recorded": recorded, "recomputed": recomputed, "agree": agree}))
    return 0 if agree else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
