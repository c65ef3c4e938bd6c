"""The time of an epoch before anything is trained."""

import pytest

from service.core.experiments.epoch_time import EpochTime, Timed, epoch_time

WORK, IMAGES = 3 * 10**9, 1000  # multiplications for each image


def test_jobs_on_the_same_data_count_before_others() -> None:
    alike, other = Timed(WORK, IMAGES, 30.0), Timed(WORK, IMAGES, 10.0, is_alike=False)
    assert epoch_time(WORK, IMAGES, [other, alike], is_on_gpu=False) == EpochTime(30.0, "history")
    assert epoch_time(WORK, IMAGES, [other], is_on_gpu=True) == EpochTime(10.0, "speed")


def test_time_goes_with_the_work_of_the_nearest_job() -> None:
    past = [Timed(WORK, IMAGES, 30.0), Timed(100 * WORK, IMAGES, 1e4)]
    found = epoch_time(2 * WORK, 3 * IMAGES, past, is_on_gpu=False)
    assert found is not None
    assert found.seconds == pytest.approx(180, rel=0.01)


def test_first_job_is_timed_by_arithmetic_on_a_cpu_alone() -> None:
    found = epoch_time(WORK, IMAGES, [], is_on_gpu=False)
    assert found is not None
    assert found.source == "arithmetic"
    assert found.seconds == pytest.approx(150.1)
    assert epoch_time(WORK, IMAGES, [], is_on_gpu=True) is None
