"""The librarian: reads the data sets that were sent, one at a time, beside whatever is trained.

A process of its own, with limits, does the reading (workers/datasets/ingest/read.py). The lease is kept meanwhile;
whoever loses it ends that process and writes nothing more.
"""

import json
import logging
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import IO, Any

from service.core.broker.wakeups import Wakeups
from service.core.errors import LeaseLost, StorageError
from service.core.records.dataset import CONTENTS, INDEX, PIXELS, Contents, DatasetError
from service.core.records.lease import Reading
from service.core.resilience import attempt
from service.core.settings import Settings
from service.core.sql.datasets import READERS, DatasetStore
from service.core.storage import Storage, discard
from workers.datasets.cache import DatasetCache
from workers.scratch import Scratch
from workers.supervisor.lease import Keeper

ROOT = Path(__file__).resolve().parent.parent.parent
LOOK_SECONDS = 2.0  # how long a data set may lie unseen, should its wake-up be lost
TICK_SECONDS = 0.2
TIDY_SECONDS = 60.0
MOST_WORDS = 64 << 20  # bytes of a reader's answer
SHOWN = 300  # characters of a reader's last words

log = logging.getLogger(__name__)


class DatasetReader:
    """Runs in a thread of its own until stopped; then the set that is being read is left to another worker."""

    def __init__(
        self,
        settings: Settings,
        catalog: DatasetStore,
        storage: Storage,
        shelf: DatasetCache,
        wakeups: Wakeups,
        worker: str,
    ) -> None:
        self._settings, self._catalog, self._storage, self._shelf = settings, catalog, storage, shelf
        self._wakeups, self._worker = wakeups, worker
        self.holding = threading.Lock()  # locked while it holds a set

    def run(self, stop: threading.Event) -> None:
        """Read what there is to read, until stopped."""
        tidied = float("-inf")
        while not stop.is_set():
            with self._wakeups.listen(READERS) as wait:
                attempt(lambda: self._read_all(stop), "read data sets")
                if time.monotonic() - tidied > TIDY_SECONDS:
                    attempt(self.tidy, "tidy up data sets")
                    tidied = time.monotonic()
                wait(LOOK_SECONDS)

    def _read_all(self, stop: threading.Event) -> None:
        while self.read_next(stop):
            pass

    def read_next(self, stop: threading.Event) -> str | None:
        """Read the set that has waited longest; returns its id, None where none waits."""
        if stop.is_set():
            return None
        reading = self._catalog.claim(self._worker, self._settings.lease_seconds)
        if reading is None:
            return None
        with self.holding:
            self._hold(reading, stop)
        return reading.dataset_id

    def tidy(self) -> None:
        """Finish deletions that whoever began them has not, and drop what this machine keeps of sets that are gone."""
        for tenant, dataset_id in self._catalog.half_deleted():
            try:
                self._storage.delete(f"datasets/{dataset_id}")
            except StorageError as error:
                log.warning("data set %s cannot be deleted now: %s", dataset_id, error)
                continue
            self._catalog.forget(tenant, dataset_id)
        self._shelf.drop_gone()

    def _hold(self, reading: Reading, stop: threading.Event) -> None:
        log.info("data set %s, attempt %d at reading it", reading.dataset_id, reading.attempt)
        prefix = f"datasets/{reading.dataset_id}/a{reading.attempt}"
        scratch = Scratch(self._settings.home / "scratch" / reading.dataset_id / f"a{reading.attempt}")
        try:
            try:
                with ReadingKeeper(self._settings, self._catalog, reading) as keeper, scratch.held():
                    self._read(reading, keeper, scratch.folder, prefix, stop)
            except (StorageError, OSError, ValueError) as error:
                log.warning("data set %s cannot be read now: %s", reading.dataset_id, error)
                self._catalog.put_off(reading, str(error), self._settings.backoff_seconds)
        except LeaseLost as error:
            log.warning("%s", error)
            discard(self._storage, prefix)

    def _read(self, reading: Reading, keeper: Keeper, folder: Path, prefix: str, stop: threading.Event) -> None:
        source, target = folder / "upload", folder / "pack"
        target.mkdir()
        self._storage.get(reading.upload, source)
        said = self._ask(reading, keeper, source, target, stop)
        if said is None:
            return self._catalog.release(reading)
        if "error" in said:
            self._catalog.fail(reading, DatasetError("invalid_data", said["error"]))
            log.info("data set %s cannot be used: %s", reading.dataset_id, said["error"])
        else:
            packed = []
            for name in (PIXELS, INDEX, CONTENTS):
                keeper.check()
                packed.append(self._storage.put(f"{prefix}/{name}", target / name))
            self._catalog.finish(reading, Contents.from_dict(said["contents"]), packed)
            log.info("data set %s is ready", reading.dataset_id)
        for former in range(1, reading.attempt):
            discard(self._storage, f"datasets/{reading.dataset_id}/a{former}")
        discard(self._storage, reading.upload.key)
        return None

    def _ask(
        self, reading: Reading, keeper: Keeper, source: Path, target: Path, stop: threading.Event
    ) -> dict[str, Any] | None:
        """What the reader says; None where it was told to stop. Raises LeaseLost, and OSError or ValueError where the
        machine has failed it.
        """
        settings = self._settings
        most = min(settings.max_dataset_bytes, reading.most_bytes or settings.max_dataset_bytes)
        words = [reading.format, str(source), str(target), str(most), str(settings.read_seconds)]
        began = time.monotonic()
        with tempfile.TemporaryFile() as answer, tempfile.TemporaryFile() as errors:
            reader = subprocess.Popen(
                [sys.executable, "-m", "workers.datasets.ingest.read", *words], cwd=ROOT, stdin=subprocess.DEVNULL,
                stdout=answer, stderr=errors,
            )  # fmt: skip
            try:
                while reader.poll() is None and not stop.wait(TICK_SECONDS):
                    keeper.check()
                    if time.monotonic() - began > settings.read_seconds:
                        return {"error": f"reading it took longer than {settings.read_seconds} s"}
            finally:
                reader.kill()
                reader.wait()
            if stop.is_set():
                return None
            return _said(reader.returncode, _end(answer), _end(errors))


class ReadingKeeper(Keeper):
    """Keeps the lease on a data set, however long the storage takes."""

    def __init__(self, settings: Settings, catalog: DatasetStore, reading: Reading) -> None:
        super().__init__(reading.dataset_id, settings.heartbeat_seconds)
        self._settings, self._catalog, self._reading = settings, catalog, reading

    def _renew(self) -> None:
        self._catalog.renew(self._reading, self._settings.lease_seconds)


def _end(file: IO[bytes]) -> str:
    """The last line of what was written."""
    size = file.seek(0, 2)
    file.seek(max(0, size - MOST_WORDS))
    return (file.read().decode(errors="replace").splitlines() or [""])[-1]


def _said(exit_code: int, answer: str, error: str) -> dict[str, Any]:
    if exit_code == 0:
        said: dict[str, Any] = json.loads(answer)
        return said
    if exit_code == -signal.SIGXCPU:
        return {"error": "reading it took too much computing time"}
    if exit_code == -signal.SIGKILL:
        raise OSError("the reader was killed, as when the machine's memory runs out")
    if exit_code < 0:
        return {"error": f"the reader was ended by {signal.Signals(-exit_code).name} while it read the images"}
    raise OSError(f"the reader has failed: {error[:SHOWN]}")
