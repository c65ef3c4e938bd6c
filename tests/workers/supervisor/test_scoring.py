"""Trials leave the test images alone; another job scores them for the model that is kept."""

from pathlib import Path
from typing import Any

from service.core.evaluation.predictions import TEST, VALIDATION, Predictions, load
from service.core.records.artifact_names import PREDICTIONS
from service.core.records.job import Job
from service.core.records.submission import NewJob, Origin
from service.core.spec import JobSpec, not_understood
from service.core.sql.tables import jobs
from tests.workers.bench import Bench

SPEC = {"dataset": {"id": "digits", "train_limit": 100, "test_fraction": 0.2}, "epochs": 3}


def run(bench: Bench, **of_job: Any) -> Job:
    job = bench.store.actions.submit("t", NewJob(JobSpec.from_dict(SPEC).filled(1), **of_job))[0]
    assert bench.supervisor.run_next() == job.id
    return bench.job(job)


def predicted(bench: Bench, job: Job, folder: Path) -> Predictions:
    published = {artifact.name: artifact for artifact in bench.store.queries.artifacts("t", job.id)}
    bench.storage.get(published[PREDICTIONS], folder / job.id)
    return load(folder / job.id)


def test_a_model_is_scored_as_the_job_that_trained_it_would_have(bench: Bench, tmp_path: Path) -> None:
    alone, trial = run(bench), run(bench, origin=Origin(fit="fit_1", trial=2))
    assert trial.facts is not None
    assert trial.facts.test is None
    assert len(predicted(bench, trial, tmp_path).of(TEST)) == 0
    scoring = run(bench, origin=Origin(fit="fit_1", trial=2), scores=trial.id)
    assert (scoring.status, scoring.last) == ("succeeded", None)
    assert scoring.facts is not None
    assert alone.facts is not None
    assert scoring.facts.test == alone.facts.test
    assert (scoring.test_split, scoring.split) == (alone.test_split, alone.split)
    for part in (VALIDATION, TEST):
        own, expected = (predicted(bench, job, tmp_path).of(part) for job in (scoring, alone))
        assert len(own) == len(expected) > 0
        assert (own.logits == expected.logits).all()


def test_an_older_worker_leaves_a_scoring_to_newer_ones(bench: Bench) -> None:
    trial = run(bench, origin=Origin(fit="fit_1", trial=2))
    new = NewJob(JobSpec.from_dict(SPEC).filled(1), scores=trial.id)
    scoring = bench.store.actions.submit("t", new)[0]
    with bench.store.queries._db.read() as c:
        stored = c.execute(jobs.select().where(jobs.c.id == scoring.id)).mappings().one()["spec"]
    assert not_understood(stored) == ["/scores"]
