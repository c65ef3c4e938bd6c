"""API and worker with the commands of the images, on a read-only root file system and without capabilities."""

import io
import os
import signal
import subprocess
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from uuid import uuid4

import httpx
import numpy as np
import pytest

from tests.conftest import Redis
from tests.deploy import dockerfile
from tests.deploy.facts import BINARIES, stopping_seconds
from tests.ports import eventually, free_port
from tests.servers import LIFELINE, ROOT, S3_BUCKET, Postgresql

# Runs in its own mount namespace: everything is read-only except the two folders of a container.
SCRIPT = """
mount --make-rprivate /
mount -t tmpfs tmpfs "$RIGHTFIT_HOME"
mount -t tmpfs tmpfs "$TMPDIR"
mount -o remount,bind,ro /
exec setpriv --no-new-privs --bounding-set=-all --inh-caps=-all "$@"
"""
INSIDE = ["unshare", "--mount", "sh", "-e", "-c", SCRIPT, "sh"]
START_SECONDS = 200  # importing torch from a cold disk is slow


def can_mount() -> bool:
    return subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode == 0


pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(os.geteuid() != 0 or not can_mount(), reason="only root makes a mount namespace"),
]


class Container:
    """Runs commands in the environment of a target, with the addresses that a manifest would set."""

    def __init__(self, folder: Path, target: str, site: Path, **variables: str) -> None:
        home, scratch = folder / "home", folder / "tmp"
        home.mkdir(parents=True)
        scratch.mkdir()
        image = dockerfile.environment(target)
        places = {"/tmp": scratch, image["RIGHTFIT_HOME"]: home}  # noqa: S108
        for place, here in places.items():
            image = {name: value.replace(place, str(here)) for name, value in image.items()}
        own = {"TMPDIR": str(scratch), "PYTHONPATH": str(site), "RIGHTFIT_HOST": "127.0.0.1"}
        own["PATH"] = f"{BINARIES}:/usr/bin:/bin"
        self.env, self._folder = image | own | variables, folder

    def run(self, *command: str) -> str:
        done = subprocess.run([*INSIDE, *command], env=self.env, cwd="/", capture_output=True, text=True, check=True)
        return done.stdout.strip()

    @contextmanager
    def running(self, *command: str) -> Iterator["subprocess.Popen[bytes]"]:
        with (self._folder / "log").open("wb") as log:
            process = subprocess.Popen([*LIFELINE, *INSIDE, *command], env=self.env, cwd=ROOT, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(stopping_seconds(30))


@pytest.fixture
def container(
    tmp_path: Path, wheel: Path, own_redis: Redis, postgresql_server: Postgresql, s3_environment: None
) -> Iterator[Callable[..., Container]]:
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    reached = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    with postgresql_server.database() as url:
        reached |= {"RIGHTFIT_DATABASE_URL": url, "RIGHTFIT_REDIS_URL": own_redis.url, "NO_PROXY": "127.0.0.1"}
        reached["RIGHTFIT_STORAGE_URL"] = f"s3://{S3_BUCKET}/{uuid4().hex}"
        yield lambda target, **more: Container(tmp_path / target, target, site, **reached, **more)


def archive() -> bytes:
    file = io.BytesIO()
    np.savez(file, x=np.random.default_rng(0).integers(0, 255, (200, 8, 8), np.uint8), y=np.arange(200) % 2)
    return file.getvalue()


def test_a_job_runs_on_read_only_images_and_another_is_put_back(container: Callable[..., Container]) -> None:
    port, metrics = free_port(), free_port()
    api = container("api", RIGHTFIT_PORT=str(port))
    worker = container("worker", RIGHTFIT_METRICS_PORT=str(metrics), RIGHTFIT_THREADS="2")
    with pytest.raises(subprocess.CalledProcessError):
        api.run("touch", str(ROOT / "written"))
    key = api.run("rightfit", "keys", "create", "me")
    serve = [word.replace("/etc/rightfit", str(ROOT / "deploy")) for word in dockerfile.command("api")]
    with ExitStack() as stack:
        stack.enter_context(api.running(*serve))
        trains = stack.enter_context(worker.running(*dockerfile.command("worker")))
        client = stack.enter_context(httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=70))
        client.headers["Authorization"] = f"Bearer {key}"

        def has_a_worker() -> bool:
            try:
                return bool(client.get("/readyz").json().get("workers"))
            except httpx.TransportError:
                return False

        assert eventually(has_a_worker, START_SECONDS)
        moved = client.get("/x/metrics", headers={"SCRIPT_NAME": "/x"})
        assert moved.status_code == 404, "SCRIPT_NAME must not bypass the rules of a proxy for /metrics"
        sent = client.post(
            "/v1/datasets?name=x", content=archive(), headers={"Content-Type": "application/x-npz"}
        ).json()
        assert eventually(lambda: client.get(f"/v1/datasets/{sent['id']}").json()["status"] == "ready")
        shared = {"dataset": {"id": sent["id"]}, "epochs": 2, "device": "cpu", "gpus": 2}
        job = client.post("/v1/jobs", json=shared).json()["id"]
        assert eventually(lambda: client.get(f"/v1/jobs/{job}").json()["status"] == "succeeded", 60)
        picture = client.get(f"/v1/jobs/{job}/history.png")
        assert picture.status_code == 200
        asked = client.post(f"/v1/jobs/{job}/predict", files={"file": ("a.png", picture.content)})
        assert asked.status_code == 200

        endless = {"dataset": {"id": "digits"}, "epochs": 100_000, "early_stopping": None}
        job = client.post("/v1/jobs", json=endless).json()["id"]
        assert eventually(lambda: client.get(f"/v1/jobs/{job}").json()["progress"]["epoch"] > 0, 60)
        signalled = time.monotonic()
        trains.send_signal(signal.SIGTERM)
        assert trains.wait(stopping_seconds(30)) == 0
        assert time.monotonic() - signalled < stopping_seconds(30)
        assert client.get(f"/v1/jobs/{job}").json()["status"] == "queued"
