"""The client: submit a job, watch it, diagnose it, fork it, download its files.

Every GET is safe to repeat, and so is a POST with an Idempotency-Key, which `submit` and `fork` send. Such requests are
repeated after growing pauses, or after the pause that the service asks for. Any other request is sent once.
"""

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from time import monotonic, sleep
from types import TracebackType
from typing import Any
from urllib.parse import quote

import httpx

from service.client.download import artifact, check_target, download, export
from service.client.events import read_events, stream_events
from service.client.fits import Fits
from service.client.folder import printable
from service.client.folds import Folds
from service.client.history_file import Source, content
from service.client.transport import TIMEOUT, TRIES, WAIT_SECONDS, Transport, document, given, idempotency
from service.client.types import Event, History, Json, Note, Progress
from service.client.upload import archive, label_file
from service.client.weights import Weights

DEFAULT_URL = "http://127.0.0.1:8000"
PAUSE_SECONDS = 1.0  # between two polls that the service answers at once
DEFAULT_OPTIONS: Json = {"skip_broken": False, "background": "white"}  # not sent: 0.1.0 does not know them
MAX_LINES = 10_000  # the longest log of a job that the service keeps


class Rightfit:
    """The client of one service, to be closed after use: `with Rightfit(url) as client`.

    Its methods raise ApiError if the service refuses a request, httpx.TransportError if the service cannot be reached,
    and NotRightfit if another server answers. `folds` has the methods of cross-validations, `fits` those of fits,
    `weights` those of uploaded weights.
    """

    def __init__(
        self,
        url: str | None = None,
        api_key: str | None = None,
        *,
        tries: int = TRIES,
        timeout: float = TIMEOUT,
        retrying: Callable[[int], None] = lambda _: None,
    ) -> None:
        """`url` defaults to RIGHTFIT_URL, then to port 8000 of this machine; `api_key` to RIGHTFIT_API_KEY.

        `tries` is the maximum number of tries of a request that is safe to repeat. `timeout` is the longest time
        without a byte, in seconds. `retrying` is called with the number of each try that did not reach the service,
        before the next try. Raises UnusableKey, a ValueError, for a key that no header can carry.
        """
        self.url = url or os.environ.get("RIGHTFIT_URL") or DEFAULT_URL
        self._transport = Transport(
            self.url,
            api_key or os.environ.get("RIGHTFIT_API_KEY"),
            tries=tries,
            timeout=timeout,
            retrying=retrying,
        )
        self.folds = Folds(self._transport)
        self.fits = Fits(self._transport)
        self.weights = Weights(self._transport)

    def __enter__(self) -> "Rightfit":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def fit(self, dataset: str | Json, minutes: float | None = None, jobs: int | None = None, **options: Any) -> Json:
        """The best model of a data set within a budget: starts a fit, waits for its end, and returns it.

        The arguments are those of `fits.submit`. The kept model is downloaded by `fits.download`.
        """
        return self.fits.wait(self.fits.submit(dataset, minutes, jobs, **options)["id"])

    def submit(self, spec: Json, key: str | None = None) -> Json:
        """Queue a job; returns it with its id and its effective spec.

        `key` is an Idempotency-Key of visible ASCII characters: the same request with the same key returns the same
        job, also when another program sends it or on another day.
        """
        return self._transport.json("POST", "/v1/jobs", json=spec, headers=idempotency(key))

    def plan(self, spec: Json) -> Json:
        """Validate a spec without queueing a job. Returns `spec`, `parameters`, `memory`, `time` and `warnings`."""
        return self._transport.json("POST", "/v1/jobs", json=spec, params={"validate_only": True})

    def job(self, job_id: str) -> Json:
        """The job as it is now."""
        return self._transport.json("GET", _job(job_id))

    def jobs(self, status: Sequence[str] = (), label: Sequence[str] = (), limit: int = 20) -> list[Json]:
        """Jobs, newest first: with any of these statuses and with all of these labels (`key=value`)."""
        return self._transport.pages("/v1/jobs", limit, {"status": list(status), "label": list(label)})

    def changes(self, job_id: str) -> Iterator[Json]:
        """The job now, and again after each change, until it has ended."""
        job: Json | None = None
        headers: dict[str, str] = {}
        while job is None or not job["is_terminal"]:
            started = monotonic()
            params = {"wait": WAIT_SECONDS if job else 0}
            response = self._transport.call("GET", _job(job_id), params=params, headers=headers)
            if response.status_code == httpx.codes.OK:
                job, headers = document(response), {"If-None-Match": response.headers["etag"]}
                yield job
            elif monotonic() - started < PAUSE_SECONDS:  # unchanged, at once: the service has no room for a long poll
                sleep(PAUSE_SECONDS)

    def wait(self, job_id: str) -> Json:
        """Wait until the job has ended, and return it."""
        return list(self.changes(job_id))[-1]

    def cancel(self, job_id: str) -> Json:
        """Cancel a job. A running job stops at the next batch."""
        return self._transport.json("POST", _job(job_id, "cancel"))

    def pause(self, job_id: str) -> Json:
        """Pause a job. A running job saves a checkpoint at the next batch and stops."""
        return self._transport.json("POST", _job(job_id, "pause"))

    def resume(self, job_id: str, gpus: int | None = None) -> Json:
        """Queue a paused job again. `gpus` is its new number of GPUs; None keeps the number."""
        return self._transport.json("POST", _job(job_id, "resume"), params={} if gpus is None else {"gpus": gpus})

    def retry(self, job_id: str, gpus: int | None = None) -> Json:
        """Queue a failed job again. `gpus` is its new number of GPUs; None keeps the number."""
        return self._transport.json("POST", _job(job_id, "retry"), params={} if gpus is None else {"gpus": gpus})

    def delete(self, job_id: str) -> None:
        """Delete an ended job and its files."""
        self._transport.call("DELETE", _job(job_id))

    def predict(self, job_id: str, pictures: Sequence[Path], similar: int = 0) -> list[Json]:
        """Classify image files with the job's best model: `name`, `label`, `probability`, `probabilities` of each.

        `similar` is the number of validation images, 0 to 20, that are named for each: those that the model sees most
        like it.
        """
        form = [("file", (printable(path.name), path.read_bytes())) for path in pictures]
        predictions: list[Json] = self._transport.json(
            "POST", _job(job_id, "predict"), files=form, params={"similar": similar}
        )["data"]
        return predictions

    def history(self, job_id: str, after_epoch: int = 0) -> History:
        """The epochs of a job after `after_epoch`."""
        return History(self._transport.json("GET", _job(job_id, "history"), params={"after_epoch": after_epoch}))

    def events(self, job_id: str, after: int = 0) -> list[Event]:
        """The events of a job up to now, after the event with the id `after`."""
        return read_events(self._transport, _job(job_id, "events"), after)

    def stream(self, job_id: str, after: str = "") -> Iterator[Event]:
        """The events of a job, from the first or after the event with the id `after`, live until the job has ended.

        If the connection breaks off, the stream continues where it was: each event comes exactly once.
        """
        return stream_events(self._transport, _job(job_id, "events"), after)

    def log(self, job_id: str, tail: int = 200) -> list[Json]:
        """The last lines of the job's log, in order: `id`, `attempt`, `at`, `level`, `message` of each."""
        lines: list[Json] = self._transport.json("GET", _job(job_id, "logs"), params={"tail": tail})["data"]
        return lines

    def follow_log(self, job_id: str, tail: int = 200) -> Iterator[Json]:
        """The last lines of the job's log, then each new line until the job has ended."""
        after = 0
        while True:
            page = self._transport.json("GET", _job(job_id, "logs"), params={"tail": tail, "after": after})
            yield from page["data"]
            if page["is_terminal"]:
                return
            after, tail = page["data"][-1]["id"] if page["data"] else after, MAX_LINES
            sleep(PAUSE_SECONDS)

    def diagnose(self, job_id: str) -> Json:
        """The diagnosis of the losses: `verdict`, `summary`, `evidence`, `advice`. It also works during training."""
        return self._transport.json("GET", _job(job_id, "diagnosis"))

    def evaluation(
        self,
        job_id: str,
        part: str | None = None,
        *,
        mistakes: int = 20,
        label: str | None = None,
        guess: str | None = None,
    ) -> Json:
        """What the best model of an ended job does with the images of a part: scores, calibration, worst mistakes.

        `part` is validation or test, by default test if the job has test images. `mistakes`, 0 to 200, is the most that
        are returned; `label` and `guess` restrict them to a row, a column or a cell of the confusion matrix.
        """
        params = {"part": part, "label": label, "guess": guess, "mistakes": mistakes}
        return self._transport.json("GET", _job(job_id, "evaluation"), params=given(params))

    def confusion_csv(self, job_id: str, part: str | None = None) -> str:
        """The whole confusion matrix as CSV, a row for each label and a column for each guess."""
        params = given({"format": "csv", "part": part})
        return self._transport.call("GET", _job(job_id, "evaluation"), params=params).text

    def calibrate(self, job_id: str) -> Json:
        """The temperature of an ended job, fitted if it has none, with `loss` and `ece` before and after it."""
        return self._transport.json("POST", _job(job_id, "calibrate"))

    def diagnose_history(self, history: Source, **facts: Any) -> Json:
        """Diagnose a run that was trained elsewhere; nothing is stored. Returns what `diagnose` returns, with `read`,
        `missing` and `counterfactual`.

        `history` is the file of a framework, its content, or a list with one object an epoch (`train_loss`,
        `val_loss`, …). `facts` are what is known: `classes`, `train_images`, `validation_images`, `label_counts` (a
        number for each class), `columns` (of measures with unusual names), `run` (one of several in the file) and, for
        a list of epochs, `spec` (the settings of the run in the words of a job spec).
        """
        return self._transport.json("POST", "/v1/diagnoses", **content(history, facts))

    def fork(
        self,
        job_id: str,
        advice: str | None = None,
        patch: Sequence[Json] | None = None,
        key: str | None = None,
        *,
        keep_weights: bool = False,
    ) -> Json:
        """Queue a job with this job's spec, changed by the id of an advice or by a JSON Patch (RFC 6902).

        With `keep_weights` it starts from the best model of this job; then a change is not needed.
        """
        change: Json = given({"advice": advice, "patch": None if patch is None else list(patch)})
        if keep_weights:
            change["keep_weights"] = True
        return self._transport.json("POST", _job(job_id, "fork"), json=change, headers=idempotency(key))

    def compare(self, job_ids: Sequence[str]) -> Json:
        """Compare two to eight jobs with the first of them: differences of their specs and of their results."""
        return self._transport.json("GET", "/v1/compare", params={"jobs": ",".join(job_ids)})

    def artifacts(self, job_id: str) -> list[Json]:
        """The files of a job: `name`, `bytes`, `sha256` of each."""
        manifest: list[Json] = self._transport.json("GET", _job(job_id, "artifacts"))["data"]
        return manifest

    def download(self, job_id: str, name: str, target: Path, progress: Progress | None = None) -> str:
        """Download a file of a job to `target`; returns its SHA-256.

        The download is written to TARGET.part, which a later call continues, and is renamed when it is complete.
        Raises Damaged, a ValueError, if its digest differs from the manifest, and FileExistsError if TARGET or
        TARGET.part is not a regular file.
        """
        check_target(target)
        source = artifact(_job(job_id, "artifacts", name), name, self.artifacts(job_id))
        return download(self._transport, source, target, progress)

    def export(self, job_id: str, target: Path, progress: Progress | None = None) -> None:
        """Download all files of a job as one zip to `target`. The zip has a README.txt that lists them.

        The download is written to TARGET.part, which a later call replaces, and is renamed when it is complete. Raises
        FileExistsError if TARGET or TARGET.part is not a regular file.
        """
        check_target(target)
        export(self._transport, _job(job_id, "export"), target, progress)

    def upload(
        self,
        path: Path,
        name: str | None = None,
        progress: Progress | None = None,
        note: Note = warnings.warn,
        *,
        labels: Path | None = None,
        skip_broken: bool = False,
        background: str = "white",
    ) -> Json:
        """Upload a data set: a folder with one folder per class, or a zip, tar, tar.gz or npz file.

        Links in a folder are followed. Hidden files, files that systems and tools make, broken links and links to a
        folder around them are left out, and `note` is called with a remark about them. Raises ValueError, before
        anything is sent, with the names of all files that cannot be read or whose names are not UTF-8.

        `labels` is a label file (.csv, .tsv, .jsonl or .ndjson) with the class of each image. `skip_broken` leaves out
        images that cannot be read and wrong rows of the label file; without it they refuse the data set. `background`
        is the colour below transparent pixels: white, black or mean.

        It is sent once; an incomplete upload leaves nothing on the service. The service reads the images after the
        upload: see `dataset_ready`.
        """
        options = {"skip_broken": skip_broken, "background": background}
        changed = {key: value for key, value in options.items() if value != DEFAULT_OPTIONS[key]}
        with label_file(labels) as beside, archive(path, note) as source:
            params = {"name": name or source.name, **changed}
            return self._transport.json("POST", "/v1/datasets", params=params, **source.content(beside, progress))

    def dataset(self, dataset_id: str) -> Json:
        """The data set as it is now."""
        return self._transport.json("GET", _dataset(dataset_id))

    def dataset_image(self, dataset_id: str, index: int, size: int | None = None) -> bytes:
        """An image of a data set as PNG, by its index. `size`, 8 to 1024, is the pixels of its longer side."""
        path = f"{_dataset(dataset_id)}/images/{index}"
        return self._transport.call("GET", path, params=given({"size": size})).content

    def delete_dataset(self, dataset_id: str) -> None:
        """Delete a data set. The service refuses it while a queued, running or paused job uses it."""
        self._transport.call("DELETE", _dataset(dataset_id))

    def datasets(self, limit: int = 100) -> list[Json]:
        """Your data sets, newest first, then the built-in ones."""
        return self._transport.pages("/v1/datasets", limit)

    def dataset_ready(self, dataset_id: str) -> Json:
        """Wait until the service has read the images, and return the data set: its `status` is ready or failed."""
        pause = 0.1
        while (dataset := self.dataset(dataset_id))["status"] == "processing":
            sleep(pause)
            pause = min(2 * pause, PAUSE_SECONDS)
        return dataset


def _job(job_id: str, *rest: str) -> str:
    return "/".join(["/v1/jobs", *(quote(part, safe="") for part in (job_id, *rest))])


def _dataset(dataset_id: str) -> str:
    return f"/v1/datasets/{quote(dataset_id, safe='')}"
