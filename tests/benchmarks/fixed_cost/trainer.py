"""The trainer process of the benchmark: the real one with its parts timed."""

import json
import os
from multiprocessing.connection import Connection
from pathlib import Path

from tests.benchmarks.fixed_cost.parts import CALLS, OF_TRAINER
from tests.benchmarks.fixed_cost.timing import timed
from workers.trainer.main import main
from workers.trainer_args import TrainerArgs


def timed_main(args: TrainerArgs, connection: Connection) -> None:
    """Train one job, as `workers.trainer.main` does."""
    with timed(OF_TRAINER) as calls:
        main(args, connection)
    Path(os.environ[CALLS]).write_text(json.dumps(calls))
