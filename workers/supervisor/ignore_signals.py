"""Imported first by the warm server, and by nobody else: from then on it and its children ignore SIGTERM and SIGHUP.

A signal to a whole group of processes is the supervisor's to act on: it tells its trainer, and ends the server.
"""

import signal

for number in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
