"""The rules on real runs of set-ups drawn at random, whose verdicts come from how the runs went on.

The set-ups of even seeds were held out whole: no threshold and no confidence has seen them.
"""

from statistics import fmean

import pytest

from service.core.diagnosis import Rules
from tests.golden.confidence import calibration_error
from tests.golden.drawn import drawn
from tests.golden.scoring import Golden, scores

LEAST = 0.85  # of precision and recall
COUNTED = 20  # runs of a verdict, from which on its shares say something


@pytest.fixture(scope="module")
def held_out() -> list[Golden]:
    return [run for run in drawn() if run.is_held_out]


def test_there_are_hundreds_of_runs_of_many_lengths(held_out: list[Golden]) -> None:
    assert len(held_out) > 400
    assert len({run.seed for run in held_out}) > 100
    lengths = sorted(len(run.history) for run in held_out)
    assert lengths[0] <= 5
    assert lengths[-1] >= 50


def test_verdicts_agree_with_how_runs_went_on(held_out: list[Golden]) -> None:
    assert fmean(run.judged(Rules()) == run.verdict for run in held_out) >= 0.93


def test_frequent_verdicts_are_precise_and_complete(held_out: list[Golden]) -> None:
    by_verdict = {score.verdict: score for score in scores(held_out, Rules()) if score.runs >= COUNTED}
    assert len(by_verdict) >= 8
    assert not {v: s for v, s in by_verdict.items() if min(s.precision, s.recall) < LEAST}


def test_confidence_is_the_share_of_right_verdicts(held_out: list[Golden]) -> None:
    assert calibration_error(held_out) < 0.05
