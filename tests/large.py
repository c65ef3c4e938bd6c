"""Upload a large archive and measure the memory of the processes that handle it.

`python -m tests.large --megabytes 1024`. Prints one line of JSON: the most resident memory, in megabytes, of the API,
of the worker's supervisor and of the process that reads the images, and the seconds of sending and of reading.
"""

import argparse
import json
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import numpy as np
import psutil

from tests.conftest import Serving
from tests.pictures import encoded
from tests.ports import eventually

SIDE = 256
MEGABYTE = 1 << 20
KINDS = {"service.wsgi": "api", "-m workers": "supervisor", "workers.datasets.ingest.read": "reader"}


def archive(path: Path, megabytes: int) -> int:
    """Write a zip of noise in two classes of about this size; returns the number of images."""
    random = np.random.default_rng(1)
    count = 0
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as file:
        while count < 4 or path.stat().st_size < megabytes * MEGABYTE:
            pixels = random.integers(0, 256, (SIDE, SIDE, 3), np.uint8)
            file.writestr(f"{'ab'[count % 2]}/{count}.bmp", encoded(pixels, "BMP"))
            count += 1
    return count


class Watch:
    """The peak memory of each kind of process within the block."""

    def __init__(self, stack: Serving) -> None:
        self.most: dict[str, float] = dict.fromkeys(KINDS.values(), 0.0)
        self._stack, self._over = stack, threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(0.05):
            for process in psutil.Process(self._stack.process.pid).children(recursive=True):
                try:
                    words, used = " ".join(process.cmdline()), process.memory_info().rss / MEGABYTE
                except psutil.Error:
                    continue
                for sign, kind in KINDS.items():
                    if sign in words:
                        self.most[kind] = max(self.most[kind], used)


def send(stack: Serving, path: Path) -> tuple[dict[str, float], float, float]:
    """(megabytes by kind, seconds to send, seconds to read)."""

    def blocks() -> Iterator[bytes]:
        with path.open("rb") as file:
            while block := file.read(MEGABYTE):
                yield block

    with Watch(stack) as watch, httpx.Client(base_url=stack.url, timeout=600, trust_env=False) as client:
        began = time.monotonic()
        headers = {"Content-Type": "application/zip"}
        sent = client.post("/v1/datasets", params={"name": "large"}, content=blocks(), headers=headers)
        address = sent.raise_for_status().headers["Location"]
        arrived = time.monotonic()

        def is_read() -> bool:
            return bool(client.get(address).json()["status"] != "processing")

        assert eventually(is_read, 600)
        done = time.monotonic()
        dataset = client.get(address).json()
        assert dataset["status"] == "ready", dataset
    return watch.most, arrived - began, done - arrived


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=1024)
    given = parser.parse_args()
    with TemporaryDirectory(prefix="rightfit-large-") as folder, Serving(Path(folder) / "home") as stack:
        stack.wait_until_ready()
        images = archive(Path(folder) / "large.zip", given.megabytes)
        most, sending, reading = send(stack, Path(folder) / "large.zip")
    print(json.dumps({"images": images, "megabytes": most, "seconds_to_send": sending, "seconds_to_read": reading}))


if __name__ == "__main__":
    main()
