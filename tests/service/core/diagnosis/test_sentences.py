"""The sentences of a verdict have words in place of names of options and measures."""

import re

import pytest

from service.core.diagnosis.sentences import DIVERGED, MEANS, SEEN

VALUE = re.compile(r"\{.*?\}")


@pytest.mark.parametrize("sentence", [*SEEN.values(), *MEANS.values(), *DIVERGED.values()])
def test_sentence_has_no_names_of_options(sentence: str) -> None:
    assert "_" not in VALUE.sub("", sentence)
