"""Diagnoses a run while it trains, at a small share of its time, and reports each new verdict once."""

import time
from collections.abc import Callable, Iterable

from service.core.diagnosis import Diagnosis, Verdict, diagnose
from service.core.records.epoch import Epoch
from service.core.records.facts import Facts
from workers.messages import Diagnosed

SHARE = 0.004  # of the run's time between two diagnoses; with the last one, less than half a percent of a short run


class LiveDiagnosis:
    """Calls `report` with each verdict that has an onset, the first time that it is reached."""

    def __init__(self, facts: Facts, report: Callable[[Diagnosed], None], former: Iterable[Epoch] = ()) -> None:
        """`former` are the epochs of an earlier process, where the run continues from a checkpoint."""
        self.history, self.facts = list(former), facts
        self._report = report
        self._reported: set[Verdict] = set()
        self._due = 0.0

    def add(self, epoch: Epoch) -> None:
        """Append an epoch, and diagnose the history if enough time has passed since the last diagnosis."""
        self.history.append(epoch)
        started = time.monotonic()
        if started < self._due:
            return
        diagnosis = diagnose(self.history, facts=self.facts)
        if diagnosis.onset_epoch is not None and diagnosis.verdict not in self._reported:
            self._reported.add(diagnosis.verdict)
            self._report(diagnosed(diagnosis))
        ended = time.monotonic()
        self._due = ended + (ended - started) / SHARE


def diagnosed(diagnosis: Diagnosis) -> Diagnosed:
    """The message about a diagnosis; the whole of it is at /v1/jobs/{id}/diagnosis."""
    return Diagnosed(
        diagnosis.verdict,
        diagnosis.confidence,
        diagnosis.onset_epoch,
        diagnosis.summary,
        diagnosis.is_final,
    )
