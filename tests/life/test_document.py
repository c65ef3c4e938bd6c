"""Generated requests get the answers that the API document describes."""

import pytest

from tests.conftest import Serving
from tests.document import ALL_PHASES, check


@pytest.mark.parametrize(("phases", "least"), [("fuzzing", 50), pytest.param(ALL_PHASES, 1000, marks=pytest.mark.long)])
def test_generated_requests_get_documented_answers(serving: Serving, phases: str, least: int) -> None:
    code, made, text = check(serving.url, examples=2, phases=phases)
    assert code == 0, text[-6000:]
    assert made > least
