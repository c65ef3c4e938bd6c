"""`python -m tests.workers.supervisor.write_output FILE`: writes as trainers do, through the log and directly."""

import logging
import os
import sys
import warnings
from pathlib import Path

from workers.trainer.stdout_to_log import redirect_output

if __name__ == "__main__":
    redirect_output(Path(sys.argv[1]))
    logging.getLogger("any").info("logged %d\nin two lines", 1)
    os.write(1, b"by a library \xff\0\n")
    os.write(2, b'{"not": "a line of the log"}\n')
    warnings.warn("beware", stacklevel=1)
    os.write(1, b"unfinished")
