"""Fits on labels that are noise claim no gain. `python -m tests.benchmarks.noise_fits` runs twenty."""

from pathlib import Path

from service.client import Rightfit
from tests.benchmarks.noise_fits import noise_fit
from tests.conftest import Serving


def test_fits_on_noise_claim_no_gain(serving: Serving, tmp_path: Path) -> None:
    with Rightfit(serving.url) as client:
        outcomes = [noise_fit(client, seed, tmp_path, {"jobs": 4}) for seed in (0, 1)]
    assert not any(outcome.is_proved for outcome in outcomes), outcomes
