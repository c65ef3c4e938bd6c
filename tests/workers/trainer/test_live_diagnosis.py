"""The diagnosis of a run while it trains."""

import pytest

from service.core.diagnosis import diagnose
from tests.golden import synthetic
from workers.messages import Diagnosed
from workers.trainer import live_diagnosis
from workers.trainer.live_diagnosis import SHARE, LiveDiagnosis


class Clock:
    """Stands still but for what the test adds."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(live_diagnosis, "time", clock)
    return clock


def reports_on(kind: str, clock: Clock) -> list[Diagnosed]:
    """The reports on a synthetic run, each epoch of which is diagnosed."""
    reports: list[Diagnosed] = []
    history, facts = synthetic.history(kind, 1)
    live = LiveDiagnosis(facts, reports.append)
    for epoch in history:
        clock.now += 1.0
        live.add(epoch)
    return reports


def test_each_verdict_is_reported_once_with_its_onset(clock: Clock) -> None:
    reports = reports_on("overfitting", clock)
    assert len({report.verdict for report in reports}) == len(reports)
    last = reports[-1]
    assert last.verdict in ("overfitting", "overconfident")
    assert last.onset_epoch is not None
    assert last.onset_epoch > 1
    assert not last.is_final


def test_a_healthy_run_gets_no_report(clock: Clock) -> None:
    assert reports_on("healthy", clock) == []


def test_diagnosing_takes_a_small_share_of_the_time(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    diagnoses = 0
    cost, epoch_seconds = 0.01, 0.001

    def diagnose_slowly(*args: object, **kwargs: object) -> object:
        nonlocal diagnoses
        diagnoses += 1
        clock.now += cost
        return diagnose(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(live_diagnosis, "diagnose", diagnose_slowly)
    history, facts = synthetic.history("overfitting", 2)
    live = LiveDiagnosis(facts, lambda report: None)
    while clock.now < 10:
        live.add(history[0])
        clock.now += epoch_seconds
    assert diagnoses >= 4
    assert diagnoses * cost / clock.now <= 1.5 * SHARE
