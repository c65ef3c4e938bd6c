"""Reads the data sets that were uploaded, one at a time, beside the training.

A process of its own with limits reads each set (workers/datasets/ingest/read.py), while this one keeps the lease. A
worker that loses the lease kills that process and writes nothing more.
"""

import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from service.core.actions.delete import finish_deletions
from service.core.broker.wakeups import Wakeups
from service.core.errors import LeaseLost, StorageError
from service.core.records.dataset import CONTENTS, INDEX, PIXELS, Contents, DatasetError
from service.core.records.lease import Reading
from service.core.records.weights import WEIGHTS
from service.core.settings import Settings
from service.core.sql.datasets import READERS, DatasetStore
from service.core.sql.weights import WeightsStore
from service.core.storage import Storage, discard
from service.core.system import refuse_full_disk
from service.core.system.resilience import LeaseKeeper, attempt
from workers.datasets.cache import DatasetCache
from workers.scratch import Scratch

ROOT = Path(__file__).resolve().parent.parent.parent
READER = (sys.executable, "-m", "workers.datasets.ingest.read")
POLL_SECONDS = 2.0  # the longest time for which an uploaded set waits, should its wake-up be lost
TICK_SECONDS = 0.2
TIDY_SECONDS = 60.0
MOST_ANSWER_BYTES = 64 << 20
MOST_CHARACTERS = 300  # of a failed reader's last line
LONGEST_POSITION = 100  # bytes of a line that says how far a reader is

log = logging.getLogger(__name__)


class DatasetReader:
    """To be run in a thread of its own until stopped. Then the set that is being read goes to another worker.

    It also finishes interrupted deletions of data sets and weights.
    """

    def __init__(
        self,
        settings: Settings,
        datasets: DatasetStore,
        weights: WeightsStore,
        storage: Storage,
        cache: DatasetCache,
        wakeups: Wakeups,
        worker: str,
    ) -> None:
        self._settings, self._datasets, self._storage, self._cache = settings, datasets, storage, cache
        self._weights, self._wakeups, self._worker = weights, wakeups, worker
        self.holding = threading.Lock()  # locked while it holds a set

    def run(self, stop: threading.Event) -> None:
        """Read the sets that wait, until stopped."""
        tidied = float("-inf")
        while not stop.is_set():
            with self._wakeups.listen(READERS) as wait:
                attempt(lambda: self._read_all(stop), "read data sets")
                if time.monotonic() - tidied > TIDY_SECONDS:
                    attempt(self.tidy, "tidy up deleted data sets and weights")
                    tidied = time.monotonic()
                wait(POLL_SECONDS)

    def _read_all(self, stop: threading.Event) -> None:
        while self.read_next(stop):
            pass

    def read_next(self, stop: threading.Event) -> str | None:
        """Read the set that has waited longest; returns its id, None where none waits."""
        if stop.is_set():
            return None
        reading = self._datasets.claim(self._worker, self._settings.lease_seconds)
        if reading is None:
            return None
        with self.holding:
            self._hold(reading, stop)
        return reading.dataset_id

    def tidy(self) -> None:
        """Finish deletions that another process has begun and not finished, and delete the packs of deleted sets."""
        finish_deletions(self._datasets, self._storage, "datasets")
        finish_deletions(self._weights, self._storage, WEIGHTS)
        self._cache.drop_gone()

    def _hold(self, reading: Reading, stop: threading.Event) -> None:
        log.info("data set %s, attempt %d at reading it", reading.dataset_id, reading.attempt)
        prefix = f"datasets/{reading.dataset_id}/a{reading.attempt}"
        folder = self._settings.home / "scratch" / reading.dataset_id / f"a{reading.attempt}"
        scratch = Scratch(folder, self._settings.disk_reserve_bytes)
        try:
            try:
                with ReadingLeaseKeeper(self._settings, self._datasets, reading) as keeper, scratch.held():
                    self._read(reading, keeper, scratch.folder, prefix, stop)
            except (StorageError, OSError, ValueError) as error:
                log.warning("data set %s cannot be read now: %s", reading.dataset_id, error)
                self._datasets.put_off(reading, str(error), self._settings.backoff_seconds)
        except LeaseLost as error:
            log.warning("%s", error)
            discard(self._storage, prefix)

    def _read(self, reading: Reading, keeper: LeaseKeeper, folder: Path, prefix: str, stop: threading.Event) -> None:
        source, target = folder / "upload", folder / "pack"
        target.mkdir()
        self._refuse_full_disk(reading.upload.bytes)
        self._storage.get(reading.upload, source)
        labels = folder / reading.labels.name if reading.labels else None
        if reading.labels and labels:
            self._storage.get(reading.labels, labels)
        command = self._command(reading, source, target, labels)
        answer = self._run_reader(reading.dataset_id, command, keeper, stop)
        if answer is None:
            return self._datasets.release(reading)
        if "error" in answer:
            self._datasets.fail(reading, DatasetError("invalid_data", answer["error"]))
            log.info("data set %s cannot be used: %s", reading.dataset_id, answer["error"])
        else:
            packed = []
            for name in (PIXELS, INDEX, CONTENTS):
                keeper.check()
                self._refuse_full_disk((target / name).stat().st_size)
                packed.append(self._storage.put(f"{prefix}/{name}", target / name))
            self._datasets.finish(reading, Contents.from_dict(answer["contents"]), packed)
            log.info("data set %s is ready", reading.dataset_id)
        for former in range(1, reading.attempt):
            discard(self._storage, f"datasets/{reading.dataset_id}/a{former}")
        for sent in (reading.upload, reading.labels):
            if sent:
                discard(self._storage, sent.key)
        return None

    def _refuse_full_disk(self, needed: int = 0) -> None:
        """Raises DiskFull: the set is then tried again later, perhaps by another worker."""
        refuse_full_disk(self._settings.home, self._settings.disk_reserve_bytes, needed)

    def _command(self, reading: Reading, source: Path, target: Path, labels: Path | None) -> list[str]:
        """The command line of the reader process."""
        settings = self._settings
        most = min(settings.max_dataset_bytes, reading.most_bytes or settings.max_dataset_bytes)
        options = json.dumps(asdict(reading.options))
        limits = (str(most), str(settings.read_seconds))
        return [*READER, reading.format, str(source), str(target), *limits, options, str(labels or "")]

    def _run_reader(
        self, dataset_id: str, command: list[str], keeper: LeaseKeeper, stop: threading.Event
    ) -> dict[str, Any] | None:
        """The answer of the reader process, whose progress is published; None where `stop` was set.

        Raises LeaseLost, DiskFull, and OSError or ValueError where the machine has failed the reader.
        """
        most_seconds, began = self._settings.read_seconds, time.monotonic()
        with tempfile.TemporaryFile() as answer, tempfile.TemporaryFile() as errors:
            reader = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=answer, stderr=errors)
            try:
                while reader.poll() is None and not stop.wait(TICK_SECONDS):
                    keeper.check()
                    self._refuse_full_disk()
                    if position := _position(answer):
                        self._wakeups.publish_position(dataset_id, position)
                    if time.monotonic() - began > most_seconds:
                        return {"error": f"reading it took longer than {most_seconds} s"}
            finally:
                reader.kill()
                reader.wait()
            if stop.is_set():
                return None
            return _parse_answer(reader.returncode, _last_line(answer), _last_line(errors))


class ReadingLeaseKeeper(LeaseKeeper):
    """Keeps the lease on a data set, however long the storage takes."""

    def __init__(self, settings: Settings, datasets: DatasetStore, reading: Reading) -> None:
        super().__init__(reading.dataset_id, settings.heartbeat_seconds)
        self._settings, self._datasets, self._reading = settings, datasets, reading

    def _renew(self) -> None:
        self._datasets.renew(self._reading, self._settings.lease_seconds)


def _position(output: IO[bytes]) -> dict[str, int] | None:
    """The last line of a running reader's output if it says how far the reader is. The reader writes at the place of
    the file, which stays where it is.
    """
    end = os.fstat(output.fileno()).st_size
    lines = os.pread(output.fileno(), LONGEST_POSITION, max(0, end - LONGEST_POSITION)).splitlines()
    try:
        position: dict[str, int] = json.loads(lines[-1]) if lines else {}
    except ValueError:
        return None  # a part of the answer
    return position if position.keys() == {"read", "of"} else None


def _last_line(file: IO[bytes]) -> str:
    size = file.seek(0, 2)
    file.seek(max(0, size - MOST_ANSWER_BYTES))
    return (file.read().decode(errors="replace").splitlines() or [""])[-1]


def _parse_answer(exit_code: int, answer: str, error: str) -> dict[str, Any]:
    """The reader's JSON, or an error that the upload has caused. Raises OSError for any other end of the reader."""
    if exit_code == 0:
        parsed: dict[str, Any] = json.loads(answer)
        return parsed
    if exit_code == -signal.SIGXCPU:
        return {"error": "reading it took too much computing time"}
    if exit_code == -signal.SIGKILL:
        raise OSError("the reader was killed, probably because the memory of the machine was full")
    if exit_code < 0:
        return {"error": f"the reader was ended by {signal.Signals(-exit_code).name} while it read the images"}
    raise OSError(f"the reader has failed: {error[:MOST_CHARACTERS]}")
