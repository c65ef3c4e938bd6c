"""The first changes of fits lie in the space that the sampler draws from, so that it learns from them."""

import pytest

from service.core.experiments.fits.sampler import values_by_trial
from service.core.experiments.fits.space import automatic
from service.core.experiments.fits.starts import starting_points
from service.core.records.dataset import Contents
from service.core.records.fit import Trial
from service.core.spec import Dataset, JobSpec


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 64, 64)])
@pytest.mark.parametrize("narrowing", [1, 2])
def test_the_recipe_and_its_variations_lie_in_the_space(shape: tuple[int, int, int], narrowing: int) -> None:
    contents = Contents(("cat", "dog"), (200, 200), shape)
    spec = JobSpec(Dataset("pets")).filled(1)
    starts = starting_points(spec, contents, narrowing)
    trials = [Trial(number, start, 60) for number, start in enumerate(starts, 1)]
    inside = values_by_trial(spec, automatic(spec, contents), trials)
    assert [trial.candidate.why for trial in trials if trial.number not in inside] == []
