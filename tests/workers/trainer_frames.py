"""The entry of a trainer process that writes down its stack at the first optimizer step."""

import json
import traceback
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from torch.optim.optimizer import register_optimizer_step_pre_hook

from workers.trainer.main import main
from workers.trainer_args import TrainerArgs

FILE = "frames.json"  # in the attempt's folder, so that it is published


def frames() -> list[str]:
    """The functions of the package `workers` on the stack of this thread, the outermost first."""
    stack = traceback.walk_stack(None)
    modules = ((frame.f_globals["__name__"], frame.f_code.co_qualname) for frame, _ in stack)
    return [f"{module}:{function}" for module, function in modules if module.startswith("workers.")][::-1]


def main_with_frames(args: TrainerArgs, connection: Connection) -> None:
    file = Path(args.folder) / FILE

    def write(*_: Any) -> None:
        if not file.exists():
            file.write_text(json.dumps(frames()))

    register_optimizer_step_pre_hook(write)
    main(args, connection)
