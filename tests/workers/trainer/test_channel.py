"""The reports that a trainer sends over its channel."""

import json
import subprocess
import sys

from tests.servers import LIFELINE, ROOT
from tests.workers.trainer.count_steps import PHASES


def test_step_counts_never_fall_and_the_last_one_is_complete() -> None:
    command = [*LIFELINE, sys.executable, "-m", "tests.workers.trainer.count_steps"]
    ran = subprocess.run(command, cwd=ROOT, check=True, timeout=120, stdout=subprocess.PIPE)
    counts = json.loads(ran.stdout)
    assert counts == sorted(counts)
    assert counts[-1] == PHASES + 1


def test_epochs_wait_for_each_other_and_the_end_for_none() -> None:
    command = [*LIFELINE, sys.executable, "-m", "tests.workers.trainer.send_epochs"]
    ran = subprocess.run(command, cwd=ROOT, check=True, timeout=120, stdout=subprocess.PIPE)
    assert json.loads(ran.stdout) == [["epoch 1"], ["epoch 2", "epoch 3", "epoch 4", "finalizing"]]
