"""What the one-machine stack is made of."""

import subprocess
import sys

from tests.servers import LIFELINE, ROOT

# So many signals that each place in which a wait can be interrupted is met.
UNDER_FIRE = """
import signal
from service.stack.processes import StopSign

sign = StopSign()
signal.signal(signal.SIGALRM, lambda *_: sign.set())
signal.setitimer(signal.ITIMER_REAL, 1e-4, 2e-4)
for _ in range(20_000):
    sign.wait(1e-5)
    sign = StopSign()
signal.setitimer(signal.ITIMER_REAL, 0)
signal.signal(signal.SIGALRM, signal.SIG_IGN)
sign = StopSign()
assert not sign.wait(0.01)
sign.set()
assert sign.wait(60) and sign.wait(0), "once set, it stays"
"""


def test_a_signal_may_come_at_any_moment_of_a_wait() -> None:
    subprocess.run([*LIFELINE, sys.executable, "-c", UNDER_FIRE], cwd=ROOT, check=True, timeout=120)
