"""How lines look, and that they say what they belong to."""

import io
import json
import logging
from collections.abc import Callable, Iterator

import pytest
import structlog

from service.core.telemetry import correlation, logging_setup
from service.core.telemetry.correlation import Correlation

Lines = Callable[[], list[str]]


@pytest.fixture
def written() -> Iterator[Callable[[str], tuple[logging.Logger, Lines]]]:
    """A logger in that form, and the lines it has written."""
    logger, handlers = logging.getLogger("test.of.lines"), list[logging.Handler]()

    def begin(form: str) -> tuple[logging.Logger, Lines]:
        stream = io.StringIO()
        handler = logging.StreamHandler(stream)
        handler.setFormatter(logging_setup.formatter(form))
        handlers.append(handler)
        logger.addHandler(handler)
        logger.setLevel("INFO")
        return logger, lambda: stream.getvalue().splitlines()

    yield begin
    for handler in handlers:
        logger.removeHandler(handler)
    correlation.bind(correlation.NONE)


def test_a_json_line_is_one_object_for_any_content(written: Callable[[str], tuple[logging.Logger, Lines]]) -> None:
    logger, lines = written("json")
    correlation.bind(Correlation("r1", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"))
    with structlog.contextvars.bound_contextvars(job_id="job_1", attempt=2):
        logger.info("said %s\nin two lines", "this", extra={"status": 200, "odd": object})
    try:
        raise ValueError("bad")
    except ValueError:
        logger.exception("it failed")
    first, second = map(json.loads, lines())
    assert (first["message"], first["level"], first["logger"]) == ("said this\nin two lines", "info", "test.of.lines")
    assert (first["request_id"], first["trace_id"]) == ("r1", "4bf92f3577b34da6a3ce929d0e0e4736")
    assert (first["job_id"], first["attempt"], first["status"]) == ("job_1", 2, 200)
    assert "job_id" not in second
    assert second["exception"].endswith("ValueError: bad")
    assert second["timestamp"].endswith("Z")


def test_a_line_for_people_has_the_same_in_it(written: Callable[[str], tuple[logging.Logger, Lines]]) -> None:
    logger, lines = written("console")
    with structlog.contextvars.bound_contextvars(job_id="job_1"):
        logger.warning("beware of %s", "this")
    [line] = lines()
    assert "warning" in line
    assert "beware of this" in line
    assert "job_id=job_1" in line
    assert "\x1b" not in line


def test_ids_of_a_request_are_not_in_lines_of_the_next(written: Callable[[str], tuple[logging.Logger, Lines]]) -> None:
    logger, lines = written("json")
    correlation.bind(Correlation("first", None))
    correlation.bind(Correlation(None, None))
    logger.info("later")
    assert "request_id" not in json.loads(lines()[0])
