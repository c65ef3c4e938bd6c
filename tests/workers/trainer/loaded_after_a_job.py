"""The entry of a trainer process that trains a job and then sends the names of all modules that are loaded."""

import sys
from multiprocessing.connection import Connection

from workers.trainer.main import main
from workers.trainer_args import TrainerArgs


def main_then_modules(args: TrainerArgs, connection: Connection) -> None:
    """The connection gets the reports of the run and, last, a frozenset of names."""
    main(args, connection)
    connection.send(frozenset(sys.modules))
