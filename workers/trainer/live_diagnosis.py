"""Diagnoses a run while it trains, seldom enough not to be felt, and tells of each turn for the worse once."""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from service.core.diagnosis import diagnose
from service.core.records.epoch import Epoch
from service.core.records.facts import Facts

SHARE = 0.005  # of the run's time that is spent on looking at it
TOLD = ("verdict", "confidence", "onset_epoch", "summary", "is_final")


class LiveDiagnosis:
    """`tell` gets a verdict that has an onset, the first time that it is found."""

    def __init__(self, facts: Facts, tell: Callable[[dict[str, Any]], None], former: Iterable[Epoch] = ()) -> None:
        """`former` are the epochs of the process before, where the run goes on from a checkpoint."""
        self.history, self.facts = list(former), facts
        self._tell = tell
        self._seen: set[str] = set()
        self._due = 0.0

    def add(self, epoch: Epoch) -> None:
        """Take in an epoch, and look at the curves where enough time has passed since the last look."""
        self.history.append(epoch)
        started = time.monotonic()
        if started < self._due:
            return
        found = diagnose(self.history, facts=self.facts)
        if found.onset_epoch is not None and found.verdict not in self._seen:
            self._seen.add(found.verdict)
            self._tell(told_of(vars(found)))
        ended = time.monotonic()
        self._due = ended + (ended - started) / SHARE


def told_of(diagnosis: Mapping[str, Any]) -> dict[str, Any]:
    """What an event says of it; the rest is at /v1/jobs/{id}/diagnosis."""
    return {name: diagnosis[name] for name in TOLD}
