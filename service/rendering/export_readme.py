"""The README.txt in the zip of a job's files."""

from collections.abc import Sequence

from service.core.records.artifact_names import (
    BEST_MODEL,
    LABELS,
    MODEL_PY,
    ONNX,
    PREDICTIONS,
    REPORT,
    SAFETENSORS,
    SPLIT,
)
from service.core.records.epoch import Epoch
from service.core.records.job import Job
from service.core.storage import Artifact

CONTENTS = {
    BEST_MODEL: "weights of the best epoch, a PyTorch state_dict",
    SAFETENSORS: "the same weights in the safetensors format",
    ONNX: "the model as an ONNX graph: input `images`, outputs `logits` and `probabilities`",
    LABELS: "class names in the order of the logits, and the preprocessing that the model expects",
    MODEL_PY: "a Python program that rebuilds the network with torch, loads the weights and classifies pictures",
    REPORT: "spec, seed, classes, normalization, versions and the measures of the best epoch",
    SPLIT: "indices of the training, validation and test images",
    PREDICTIONS: "logits of the best model for each validation and test image, arrays part, index, label, logits",
}
HOW_TO_LOAD = {
    MODEL_PY: f"In PyTorch, with the network and the preprocessing: python {MODEL_PY} picture.jpg, or import it and "
    f"call load(); {BEST_MODEL} is beside it",
    BEST_MODEL: f'In PyTorch: model.load_state_dict(torch.load("{BEST_MODEL}", weights_only=True))',
    SAFETENSORS: f'With safetensors: safetensors.torch.load_file("{SAFETENSORS}")',
    ONNX: f'Without PyTorch: onnxruntime.InferenceSession("{ONNX}").run(None, {{"images": images}})\n'
    "  images: float32 [N, C, H, W], pixels from 0 to 1; the graph normalizes them.\n"
    "  logits, probabilities: float32 [N, classes].",
    LABELS: f"The classes in the order of the logits, and the preprocessing of the images: {LABELS}",
}


def export_readme(job: Job, artifacts: Sequence[Artifact]) -> str:
    """Plain text: the job, its files and how to load the model."""
    names = [artifact.name for artifact in artifacts]
    how = [text for name, text in HOW_TO_LOAD.items() if name in names]
    parts = [_job(job), "Files\n\n" + "\n".join(map(_file, artifacts))]
    if how:
        parts.append("How to load the model\n\n" + "\n".join(how))
    return "\n\n".join(parts) + "\n"


def _job(job: Job) -> str:
    rows = {
        "Job": job.id,
        "Name": job.spec.name or "none",
        "Data set": job.spec.dataset.id,
        "Network": job.spec.model.arch,
        "Status": str(job.status),
    }
    rows |= _best(job.best) if job.best else {"Best epoch": "none"}
    return "\n".join(f"{name}: {value}" for name, value in rows.items())


def _best(best: Epoch) -> dict[str, str]:
    rows = {"Best epoch": str(best.epoch)}
    if best.val_loss is not None:
        rows["val_loss"] = f"{best.val_loss:.6g} (mean cross entropy per validation image, in nats)"
    if best.val_accuracy is not None:
        rows["val_accuracy"] = f"{best.val_accuracy:.4f}"
    return rows


def _file(artifact: Artifact) -> str:
    contents = CONTENTS.get(artifact.name, "a file of the job")
    return f"{artifact.name}: {contents}\n  {artifact.bytes:,} bytes, SHA-256 {artifact.sha256}"
