"""What a supervisor gives the trainer process that it starts: the arguments, and the modules to import beforehand."""

from dataclasses import dataclass
from enum import StrEnum

TRAINER_MODULES = (
    "workers.trainer.imports",  # first: what comes after it imports torchvision
    "workers.trainer.main",
    "torch.nested._internal.nested_tensor",  # the first backward pass of a process imports it
    "torch.onnx._internal.torchscript_exporter.utils",  # writes model.onnx, with the next one
    "onnx",
)


class StopRequest(StrEnum):
    """Why a trainer stops before the run ends by itself."""

    CANCELLED = "cancelled"  # the owner cancels the job; its best model so far is published
    RELEASED = "released"  # the job is paused or goes to another worker; it continues from its last checkpoint


@dataclass(frozen=True)
class TrainerArgs:
    """The arguments of a trainer process: plain data only.

    `spec` is the job's spec as stored, `folder` the scratch folder of the attempt, `pack` the folder of the data set's
    pack (None: the data set is built in), `library` the folder of downloaded data sets, `graphs` that of the ONNX
    graphs of networks that were exported before. `held_until` is the time at which the lease ends, on the machine's
    monotonic clock. `resident_bytes` limits the images that are held on the device (None: half of its free memory, on a
    CPU divided among the `sharers`, the jobs that may train there at the same time). `writes_pack`: the trainer writes
    the pack of its built-in data set. The trainer stops as RELEASED once `pause_after` epochs are complete (None: it
    trains to the end). `weights` is the folder with the files of the weights that the job
    starts from, if it names any. With `holds_back_test` the test images are not scored. With `only_scores` nothing is
    trained: the best model in `weights` is scored. `packs` is the folder of all packs of this machine, in which those
    that no run uses take at most `cache_bytes`, and which leaves `disk_reserve_bytes` free on its disk.
    """

    job_id: str
    attempt: int
    worker: str
    spec: dict[str, object]
    folder: str
    threads: int
    held_until: float
    checkpoint_seconds: float
    graphs: str
    resident_bytes: int | None = None
    sharers: int = 1
    pack: str | None = None
    library: str = "."
    writes_pack: bool = False
    pause_after: int | None = None
    weights: str | None = None
    holds_back_test: bool = False
    only_scores: bool = False
    packs: str = "."
    cache_bytes: int = 1 << 50
    disk_reserve_bytes: int = 0
