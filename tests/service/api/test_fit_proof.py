"""Whether the first trainings of a fit prove already that a trial is better, before the finals."""

from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from service.conductor.conclusion import has_proof
from service.core.experiments.fits.progress import state_of
from service.core.records.job import Job
from service.services import Services
from tests.service.api.fits import REQUEST, Loss, better_than_the_base, run_to_the_end


def equal(job: Job) -> float:
    return 0.5


@pytest.mark.parametrize(("loss", "is_proved"), [(better_than_the_base, True), (equal, False)])
def test_a_clear_gain_is_proved_by_the_first_trainings(
    app: Flask, client: FlaskClient, services: Services, tmp_path: Path, loss: Loss, is_proved: bool
) -> None:
    created = client.post("/v1/fits", json=REQUEST).get_json()
    run_to_the_end(app, services, created["id"], tmp_path, loss)
    fit = services.fits.get("default", created["id"])
    timed = replace(fit, request=replace(fit.request, minutes=5.0, jobs=None))
    with app.app_context():
        searching = replace(state_of(timed, 0.0), finals=None, left=60.0)
        assert has_proof(timed, searching) is is_proved
        assert not has_proof(timed, state_of(timed, 0.0)), "it is not asked in the finals"
        assert not has_proof(timed, replace(searching, runs=())), "nothing is trained"
        assert not has_proof(timed, replace(searching, left=290.0)), "the finals are far"
        assert not has_proof(fit, replace(searching, left=None)), "a budget of jobs"
