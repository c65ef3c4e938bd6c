from service.core.records.job import TERMINAL, TRANSITIONS, Status, sources


def test_every_status_has_its_transitions() -> None:
    assert set(TRANSITIONS) == set(Status)


def test_success_and_cancellation_are_final_and_failure_is_not() -> None:
    assert TRANSITIONS[Status.SUCCEEDED] == TRANSITIONS[Status.CANCELLED] == frozenset()
    assert TRANSITIONS[Status.FAILED] == {Status.QUEUED}


def test_only_a_queued_job_can_be_taken() -> None:
    assert sources(Status.RUNNING) == (Status.QUEUED,)


def test_only_a_running_job_can_succeed() -> None:
    assert sources(Status.SUCCEEDED) == (Status.RUNNING,)


def test_every_terminal_status_can_be_reached() -> None:
    assert all(sources(status) for status in TERMINAL)
