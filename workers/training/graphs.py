"""The ONNX graph of a network that was exported before is used again with new weights: tracing takes far longer.

A graph is kept only if all its weights are those of the network. The exporter folds some weights together, as those of
a convolution and its batch norm, and merges equal ones; such a network is traced each time.
"""

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import metadata
from pathlib import Path

import onnx
import torch
from torch import Tensor

from service.core.spec import JobSpec
from service.core.system import durable_file

KEPT = 500  # graphs in a folder; each takes a few kilobytes

log = logging.getLogger(__name__)


def graph_name(spec: JobSpec, shape: tuple[int, int, int], classes: Sequence[str], samples: int) -> str:
    """The file name of the graph of a spec's network for images of `shape` (channels, height, width).

    It is a digest of all that the graph depends on beside the weights. `samples` is the number of images of the trace.
    """
    options = spec.to_dict()
    regularization = {name: getattr(spec.regularization, name) for name in ("dropout", "stochastic_depth")}
    releases = [torch.__version__, metadata.version("rightfit")]
    views = spec.test_time_augmentation
    parts = [options["model"], regularization, views, spec.gpus, shape, list(classes), samples, releases]
    return f"{hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()}.onnx"


def name_classes(graph: Path, classes: Sequence[str]) -> None:
    """Add the names of the classes to the metadata of an ONNX file, as a JSON list."""
    model = onnx.load(graph)
    onnx.helper.set_model_props(model, {"classes": json.dumps(list(classes), ensure_ascii=False)})
    onnx.save(model, graph)


def filled(kept: Path, weights: Mapping[str, Tensor]) -> bytes | None:
    """The kept graph with these weights: the bytes that tracing would give. None where it must be traced."""
    content = _contents(weights)
    if content is None or not kept.exists():
        return None
    model = onnx.load_model_from_string(kept.read_bytes())
    for tensor in model.graph.initializer:
        tensor.raw_data = content[tensor.name]
    serialized: bytes = model.SerializeToString()
    return serialized


def keep(graph: Path, weights: Mapping[str, Tensor], target: Path) -> None:
    """Keep the graph of a network with these weights as `target`, without them, if it can be used again.

    A full disk does no harm: it is logged.
    """
    content, model = _contents(weights), onnx.load(graph)
    if content is None or any(tensor.raw_data != content.get(tensor.name) for tensor in model.graph.initializer):
        return
    for tensor in model.graph.initializer:
        tensor.ClearField("raw_data")
    try:
        target.parent.mkdir(exist_ok=True)
        with durable_file(target) as file:
            file.write(model.SerializeToString())
        _forget_oldest(target.parent)
    except OSError as error:
        log.warning("the graph of the network cannot be kept: %s", error.strerror)


def _contents(weights: Mapping[str, Tensor]) -> dict[str, bytes] | None:
    """The bytes of each weight; None if two are equal, which the exporter would merge."""
    content = {name: weight.contiguous().numpy().tobytes() for name, weight in weights.items()}
    return content if len(set(content.values())) == len(content) else None


def _forget_oldest(folder: Path) -> None:
    with suppress(FileNotFoundError):  # another trainer has deleted it
        for graph in sorted(folder.glob("*.onnx"), key=lambda path: path.stat().st_mtime)[:-KEPT]:
            graph.unlink()
