"""The fork server imports this module first: it and its children then ignore SIGTERM and SIGHUP.

The supervisor acts on a signal to the whole process group: it asks its trainer to stop and kills the fork server.
"""

import signal

for number in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
