"""Fits whose jobs are trained by the test: each gets the losses that a function of its record says."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from flask import Flask

from service.conductor.conductor import Conductor
from service.core.evaluation.predictions import TEST, VALIDATION, Predictions
from service.core.records.fit import BASE
from service.core.records.job import Job, Status
from service.core.records.lease import Lease
from service.services import Services
from tests.service.worker_steps import claim, epoch, finish

REQUEST = {"dataset": {"id": "digits"}, "jobs": 12, "seed": 1}
CLASSES, IMAGES = 10, {VALIDATION: 200, TEST: 300}
FACTS = {
    "images": {"train": 800, "validation": 200, "test": 300},
    "trivial_loss": 2.3,
    "trivial_accuracy": 0.1,
    "copies_across": 0,
}
Loss = Callable[[Job], float]


def better_than_the_base(job: Job) -> float:
    """The base has a loss of 0.9, each later trial a lower one."""
    return 0.9 if job.trial == BASE else 0.5 - 0.01 * (job.trial or 0)


def predictions(loss: float, on_test: float, noise: float = 0.1) -> Predictions:
    """Images whose mean cross entropy is about `loss`, and `on_test` on the test images. Each image has noise of its
    own, the same for every model.
    """
    part = np.repeat(np.array(list(IMAGES), np.uint8), list(IMAGES.values()))
    index = np.arange(len(part))
    mean = np.where(part == TEST, on_test, loss)
    wanted = np.maximum(1e-3, mean + np.random.default_rng(0).normal(0, noise, len(part)))
    logits = np.zeros((len(part), CLASSES), np.float32)
    logits[index, index % CLASSES] = [math.log((CLASSES - 1) / math.expm1(value)) for value in wanted]
    return Predictions(part, index, index % CLASSES, logits)


def train(services: Services, folder: Path, loss: Loss, on_test: Loss | None = None) -> Lease:
    """Train the next job to its end or to its pause. `on_test` is its loss on the test images, by default `loss`."""
    lease = claim(services)
    job = services.store.queries.get("default", lease.job_id)
    tested = (on_test or loss)(job)
    test = {"test": {"loss": tested, "accuracy": 0.9, "loss_se": 0.02}} if lease.only_scores else {}
    services.store.leases.record_facts(lease, FACTS | test)
    if lease.only_scores:
        finish(services, lease, folder, predictions=predictions(loss(job), tested))
        return lease
    done, until = job.last.epoch if job.last else 0, lease.pause_after or job.spec.epochs
    first = [replace(epoch(done + 1, loss(job)), improved=True)] if done == 0 else []
    rest = [epoch(number, loss(job) + 0.5) for number in range(done + 1 + len(first), until + 1)]
    services.store.leases.append(lease, [*first, *rest])
    if lease.pause_after:
        services.store.leases.release(lease, is_leaving=False)
    else:
        own = predictions(loss(job), tested)
        finish(services, lease, folder, predictions=own.of(VALIDATION) if lease.is_trial else own)
    return lease


def run_to_the_end(
    app: Flask,
    services: Services,
    fit_id: str,
    folder: Path,
    loss: Loss = better_than_the_base,
    conductor: Conductor | None = None,
    on_test: Loss | None = None,
) -> None:
    """Conduct a fit and train all of its jobs; by `conductor`, if one has the lease of the fit."""
    conductor = conductor or Conductor(app)
    with app.app_context():
        for _ in range(200):
            conductor.turn()
            if services.fits.get("default", fit_id).is_terminal:
                return
            while services.store.queries.counts("default").get(Status.QUEUED):
                train(services, folder, loss, on_test)
    raise AssertionError("the fit does not end")
