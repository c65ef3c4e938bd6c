"""A short trial; `make chaos` runs the long ones."""

import pytest

from tests.chaos.trial import run


@pytest.mark.timeout(600)
def test_every_job_ends_as_if_alone_while_processes_die() -> None:
    trial = run("postgresql", 6, seed=1, between=(0, 1), rounds=1, workers=2)
    assert trial.faults == []
    assert len(trial.done) == 11
    assert min(trial.done.values()) >= 1
