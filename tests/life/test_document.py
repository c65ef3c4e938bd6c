"""The API does what its document says, for requests that nobody thought of."""

from tests.conftest import Serving
from tests.document import check


def test_no_made_up_request_gets_an_undocumented_answer(serving: Serving) -> None:
    code, made, text = check(serving.url, examples=1)
    assert code == 0, text[-6000:]
    assert made > 100
