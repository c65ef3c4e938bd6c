"""Rightfit in the comparison: a fit, and a person who follows the first advice. Each has a service of its own."""

import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import numpy as np
import onnxruntime

from service.client import Rightfit
from service.core.settings import Settings
from service.stack.standalone import Stack
from tests.benchmarks.fits.colours import Pixels
from tests.benchmarks.fits.person import follow_advice
from tests.benchmarks.fits.sets import ImageSet, write_zip
from tests.benchmarks.fits.systems import Answer, Budget, Json, Probabilities

POLL_SECONDS = 1.0
AT_ONCE = 250  # images in one pass
ENDED = ("succeeded", "failed", "cancelled")


@dataclass(frozen=True)
class Running:
    """A service with a data set. `folder` is for downloads."""

    client: Rightfit
    dataset: str
    folder: Path


def fit(images: ImageSet, budget: Budget) -> Answer:
    """The best model of a fit. Raises RuntimeError if it does not succeed."""
    with _serving(images) as running, httpx.Client(base_url=running.client.url, timeout=60) as http:
        dataset = {"id": running.dataset, "test_fraction": 0}  # all that it has is for training and validation
        body = {"dataset": dataset, "minutes": budget.minutes, "seed": budget.seed, "ensemble": True}
        posted = time.monotonic()
        fitted = _checked(http.post("/v1/fits", json=body))
        while fitted["status"] not in ENDED:
            time.sleep(POLL_SECONDS)
            fitted = _checked(http.get(f"/v1/fits/{fitted['id']}"))
        if fitted["status"] != "succeeded":
            raise RuntimeError(f"the fit ended as {fitted['status']}: {json.dumps(fitted)}")
        details = {"seconds": time.monotonic() - posted, "budget": fitted["budget"], "gain": fitted["gain"]}
        answer = _answer(running, fitted["best"]["job"], images.test, details)
        return replace(answer, others={"ensemble": _of_ensemble(running, fitted, images.test, answer)})


def _of_ensemble(running: Running, fitted: Json, test: Pixels, best: Answer) -> Probabilities:
    """What the ensemble says: the mean of its members, of which the kept model is the first. Without one, what the kept
    model says.
    """
    others = fitted["ensemble"]["members"][1:] if fitted["ensemble"] else []
    members = [best.probabilities, *(_of_job(running, member["job"], test) for member in others)]
    mean: Probabilities = np.mean(members, axis=0)
    return mean


def advice(images: ImageSet, budget: Budget) -> Answer:
    """The best model of a person who follows the first advice for as long."""
    with _serving(images) as running:
        spec = {"dataset": {"id": running.dataset}, "seed": budget.seed}
        followed = follow_advice(running.client, spec, 60 * budget.minutes)
        return _answer(running, followed.best, images.test, {"steps": followed.steps})


@contextmanager
def _serving(images: ImageSet) -> Iterator[Running]:
    """A service on a free port that has the images for training and validation."""
    with tempfile.TemporaryDirectory(prefix="rightfit-bench-") as folder:
        home = Path(folder)
        write_zip(images, home / "images.zip")
        settings = replace(Settings.from_env({"RIGHTFIT_HOME": str(home / "home")}), port=0)
        with Stack(settings) as stack, Rightfit(stack.url) as client:
            dataset = client.dataset_ready(client.upload(home / "images.zip")["id"])
            if dataset["status"] != "ready":
                raise RuntimeError(f"the service refuses the images: {dataset['error']}")
            yield Running(client, dataset["id"], home)


def _answer(running: Running, job_id: str, test: Pixels, details: Json) -> Answer:
    job = running.client.job(job_id)
    details = details | {"job": {name: job["spec"][name] for name in job["spec"] if name not in ("name", "labels")}}
    return Answer(_of_job(running, job_id, test), job["best"]["val_loss"], details)


def _of_job(running: Running, job_id: str, test: Pixels) -> Probabilities:
    """What the published model of a job says."""
    model = running.folder / "model.onnx"
    running.client.download(job_id, model.name, model)
    return _probabilities(model, running.client.dataset(running.dataset)["classes"], test)


def _probabilities(model: Path, classes: list[str], test: Pixels) -> Probabilities:
    """What a published model says of images, by label: its classes are the names of the folders."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    chunks = np.array_split(test.astype(np.float32) / 255, max(1, len(test) // AT_ONCE))
    shares = np.concatenate([session.run(["probabilities"], {name: chunk})[0] for chunk in chunks])
    by_label: Probabilities = shares[:, np.argsort([int(label) for label in classes])]
    return by_label


def _checked(response: httpx.Response) -> Json:
    response.raise_for_status()
    answer: Json = response.json()
    return answer
