"""A run is looked at while it trains, seldom enough not to be felt."""

import time
from typing import Any

from tests.golden import synthetic
from workers.trainer.live_diagnosis import SHARE, LiveDiagnosis


def told_of(kind: str, pause: float = 0.0) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = []
    history, facts = synthetic.history(kind, 1)
    watch = LiveDiagnosis(facts, told.append)
    for epoch in history:
        watch.add(epoch)
        time.sleep(pause)
    return told


def test_a_turn_for_the_worse_is_told_once_with_its_onset() -> None:
    told = told_of("overfitting", pause=0.01)
    assert len({event["verdict"] for event in told}) == len(told)
    last = told[-1]
    assert last["verdict"] in ("overfitting", "overconfident")
    assert last["onset_epoch"] > 1
    assert not last["is_final"]


def test_a_healthy_run_is_left_in_peace() -> None:
    assert told_of("healthy", pause=0.002) == []


def test_looking_takes_a_small_share_of_the_time_however_long_the_run() -> None:
    history, facts = synthetic.history("overfitting", 2)
    watch = LiveDiagnosis(facts, lambda event: None)
    long = [epoch for _ in range(20) for epoch in history]
    spent, started = 0.0, time.perf_counter()
    while time.perf_counter() - started < 1.5:
        for epoch in long[:10]:
            before = time.thread_time()  # a machine that gives us no time meanwhile is not what is measured
            watch.add(epoch)
            spent += time.thread_time() - before
        time.sleep(0.002)
    assert spent / (time.perf_counter() - started) < 4 * SHARE
