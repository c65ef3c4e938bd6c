"""The librarian: reads the data sets that were sent, one at a time, beside whatever is trained.

The reading itself is done by a process of its own with limits (workers/ingest/read.py). The lease is kept meanwhile;
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
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from service.core.catalog import READERS, Catalog, Reading
from service.core.datasets import CONTENTS, INDEX, PIXELS, Contents, DatasetError
from service.core.errors import LeaseLost, StorageError
from service.core.events import Wakeups
from service.core.settings import Settings
from service.core.storage import Storage

ROOT = Path(__file__).resolve().parent.parent
LOOK_SECONDS = 2.0  # how long a data set may lie unseen, should its wake-up be lost
TICK_SECONDS = 0.2
SHOWN = 300  # characters of a reader's last words

log = logging.getLogger(__name__)


class Librarian:
    """Runs in a thread of its own until stopped; then the set that is being read is left to another worker."""

    def __init__(self, settings: Settings, catalog: Catalog, storage: Storage, wakeups: Wakeups, worker: str) -> None:
        self._settings, self._catalog, self._storage = settings, catalog, storage
        self._wakeups, self._worker = wakeups, worker

    def run(self, stop: threading.Event) -> None:
        """Read what there is to read, until stopped."""
        while not stop.is_set():
            with self._wakeups.listen(READERS) as wait:
                try:
                    while self.read_next(stop):
                        pass
                except SQLAlchemyError as error:
                    log.warning("cannot look for data sets, will try again: %s", error)
                except Exception:
                    log.exception("cannot read a data set, will try again")
                wait(LOOK_SECONDS)

    def read_next(self, stop: threading.Event) -> str | None:
        """Read the set that has waited longest; returns its id, None where none waits."""
        if stop.is_set():
            return None
        reading = self._catalog.claim(self._worker, self._settings.lease_seconds)
        if reading is None:
            return None
        log.info("data set %s, attempt %d at reading it", reading.dataset_id, reading.attempt)
        scratch = self._settings.home / "scratch"
        scratch.mkdir(parents=True, exist_ok=True)
        try:
            try:
                with tempfile.TemporaryDirectory(dir=scratch, prefix="reading-") as folder:
                    self._read(reading, Path(folder), stop)
            except (StorageError, OSError) as error:
                log.warning("data set %s cannot be read now: %s", reading.dataset_id, error)
                self._catalog.put_off(reading, str(error), self._settings.backoff_seconds)
        except LeaseLost as error:
            log.warning("%s", error)
        return reading.dataset_id

    def _read(self, reading: Reading, folder: Path, stop: threading.Event) -> None:
        source, target = folder / "upload", folder / "pack"
        target.mkdir()
        self._storage.get(reading.upload, source)
        said = self._ask(reading, source, target, stop)
        if said is None:
            return self._catalog.release(reading)
        if "error" in said:
            self._catalog.fail(reading, DatasetError("invalid_data", said["error"]))
            log.info("data set %s cannot be used: %s", reading.dataset_id, said["error"])
        else:
            prefix = f"datasets/{reading.dataset_id}/a{reading.attempt}"
            packed = []
            for name in (PIXELS, INDEX, CONTENTS):
                packed.append(self._storage.put(f"{prefix}/{name}", target / name))
                self._catalog.renew(reading, self._settings.lease_seconds)
            self._catalog.finish(reading, Contents.from_dict(said["contents"]), packed)
            log.info("data set %s is ready", reading.dataset_id)
        self._storage.delete(reading.upload.key)
        return None

    def _ask(self, reading: Reading, source: Path, target: Path, stop: threading.Event) -> dict[str, Any] | None:
        """What the reader says; None where it was told to stop. Raises LeaseLost, and OSError where the machine has
        failed it.
        """
        limits = [str(self._settings.max_dataset_bytes), str(self._settings.read_seconds)]
        command = [sys.executable, "-m", "workers.ingest.read", reading.format, str(source), str(target), *limits]
        began = renewed = time.monotonic()
        with tempfile.TemporaryFile() as words:
            reader = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=words, stderr=words)
            try:
                while reader.poll() is None and not stop.wait(TICK_SECONDS):
                    now = time.monotonic()
                    if now - began > self._settings.read_seconds:
                        return {"error": f"reading it took longer than {self._settings.read_seconds} s"}
                    if now - renewed > self._settings.heartbeat_seconds:
                        self._catalog.renew(reading, self._settings.lease_seconds)
                        renewed = now
            finally:
                reader.kill()
                reader.wait()
            if stop.is_set():
                return None
            words.seek(0)
            lines = words.read().decode(errors="replace").splitlines() or [""]
        return _said(reader.returncode, lines[-1])


def _said(exit_code: int, last_line: str) -> dict[str, Any]:
    if exit_code == 0:
        said: dict[str, Any] = json.loads(last_line)
        return said
    if exit_code == -signal.SIGXCPU:
        return {"error": "reading it took too much computing time"}
    if exit_code < 0:
        return {"error": f"the reader was ended by {signal.Signals(-exit_code).name} while it read the images"}
    raise OSError(f"the reader has failed: {last_line[:SHOWN]}")
