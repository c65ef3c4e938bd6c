"""What a trainer tells its supervisor."""

import subprocess
import sys

from tests.servers import LIFELINE, ROOT

# In a process of its own: a trainer whose supervisor is gone exits.
COUNTED = """
import multiprocessing, os, threading, time
from workers import line

line.TELL_SECONDS = 0
ours, theirs = multiprocessing.Pipe()
said = []

def listen():
    while True:
        said.append(ours.recv())

threading.Thread(target=listen, daemon=True).start()
told = line.Line(theirs, time.monotonic() + 600)
for _ in range(3_000):
    told.stop_reason()
    told.report("phase", {"phase": "training"})
told.stop_reason()
told.report("ended", {"stop_reason": "completed", "epochs": 1})
while not any(kind == "ended" for kind, _ in said):
    time.sleep(0.01)
end = next(number for number, (kind, _) in enumerate(said) if kind == "ended")
counts = [content["steps"] for kind, content in said[:end] if kind == "steps"]
os._exit(0 if counts == sorted(counts) and counts[-1] == 3_001 else 1)
"""


def test_batches_are_counted_upwards_and_to_the_last_whoever_tells_of_them() -> None:
    subprocess.run([*LIFELINE, sys.executable, "-c", COUNTED], cwd=ROOT, check=True, timeout=120)
