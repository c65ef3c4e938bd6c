"""All files of a job in one zip."""

import hashlib
import io
import tracemalloc
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from flask.testing import FlaskClient

from service.core.records.artifact_names import ARTIFACTS, BEST_MODEL, ONNX
from service.core.records.epoch import Epoch
from service.core.records.job import Outcome, Status, StopReason
from service.core.settings import Settings
from service.core.sql.api_keys import Scope
from service.services import Services
from tests.servers import ON_DISK
from tests.service.live import Live

SPEC: dict[str, Any] = {"dataset": {"id": "digits"}, "epochs": 3, "name": 'näher: 1/2 "x"', "model": {"arch": "mlp"}}
FILES = dict.fromkeys(ARTIFACTS, b"{}") | {BEST_MODEL: b"weights" * 100_000, ONNX: b"graph"}
BEST = Epoch(2, 0.5, 0.4, 0.321, 0.9, 0.875, 0.0, 1e-3, 0.1, 10.0, True, 0)
LARGE, PEAK = 32 << 20, 8 << 20  # bytes of a file, and of memory while it is sent


@pytest.fixture
def service(app: Any) -> Services:
    service: Services = app.extensions["rightfit"]
    return service


def publish(service: Services, folder: Path, files: dict[str, bytes]) -> str:
    """Play the worker of the next job, which publishes these files. Returns the job's id."""
    lease = service.store.leases.claim("worker", 60)
    assert lease is not None
    service.store.leases.append(lease, [BEST])
    published = []
    for name, content in files.items():
        (folder / name).write_bytes(content)
        published.append(service.storage.put(f"jobs/{lease.job_id}/a1/{name}", folder / name))
    service.store.leases.finish(lease, Outcome(Status.SUCCEEDED, StopReason.MAX_EPOCHS), published)
    return lease.job_id


def test_the_zip_has_every_file_of_the_manifest(client: FlaskClient, service: Services, tmp_path: Path) -> None:
    links = (client.post("/v1/jobs", json=SPEC).json or {})["links"]
    job_id = publish(service, tmp_path, FILES)
    answer = client.get(links["export"], buffered=True)
    assert (answer.status_code, answer.mimetype) == (200, "application/zip")
    assert answer.content_length == len(answer.data)
    archive = zipfile.ZipFile(io.BytesIO(answer.data))
    assert archive.testzip() is None
    manifest = {file["name"]: file["sha256"] for file in (client.get(links["artifacts"]).json or {})["data"]}
    unzipped = {name: hashlib.sha256(archive.read(name)).hexdigest() for name in manifest}
    assert unzipped == manifest
    assert set(archive.namelist()) == {"README.txt", *FILES}
    readme = archive.read("README.txt").decode()
    assert "order of the logits, and the preprocessing of the images: labels.json" in readme
    for words in (job_id, SPEC["name"], "Best epoch: 2", "val_loss: 0.321", "weights_only=True", manifest[ONNX]):
        assert words in readme
    assert "a file of the job" not in readme, "each artifact has a description of its own"


def test_the_zip_is_named_after_the_job(client: FlaskClient, service: Services, tmp_path: Path) -> None:
    links = (client.post("/v1/jobs", json=SPEC).json or {})["links"]
    job_id = publish(service, tmp_path, {ONNX: b"graph"})
    answer = client.head(links["export"], buffered=True)
    assert answer.headers["Content-Disposition"] == f"attachment; filename=naher-1-2-x-{job_id}.zip"
    assert answer.data == b""
    assert answer.content_length == len(client.get(links["export"], buffered=True).data)


def test_a_job_without_files_has_no_zip(client: FlaskClient) -> None:
    job = client.post("/v1/jobs", json=SPEC).json or {}
    answer = client.get(job["links"]["export"])
    assert answer.status_code == 409
    assert "the job is queued and has published no files" in answer.text
    assert client.get("/v1/jobs/none/export").status_code == 404


@ON_DISK
def test_a_large_file_is_sent_in_blocks(client: FlaskClient, service: Services, tmp_path: Path) -> None:
    links = (client.post("/v1/jobs", json=SPEC).json or {})["links"]
    publish(service, tmp_path, {BEST_MODEL: bytes(LARGE)})
    tracemalloc.start()
    try:
        with client.get(links["export"], buffered=False) as answer:
            assert sum(len(block) for block in answer.iter_encoded()) > LARGE
        assert tracemalloc.get_traced_memory()[1] < PEAK
    finally:
        tracemalloc.stop()


@ON_DISK
def test_a_missing_file_is_reported_before_the_zip_starts(settings: Settings, tmp_path: Path) -> None:
    with Live(settings) as live, httpx.Client(base_url=live.url, trust_env=False) as http:
        links = http.post("/v1/jobs", json=SPEC).json()["links"]
        job_id = publish(live.parts, tmp_path, FILES)
        (settings.home / "storage" / "jobs" / job_id / "a1" / ONNX).unlink()
        answer = http.get(links["export"])
    assert (answer.status_code, answer.headers["Content-Type"]) == (503, "application/problem+json")
    assert "Retry-After" in answer.headers
    assert f"a1/{ONNX} is not in the storage" in answer.json()["detail"]


@ON_DISK
@pytest.mark.parametrize("fault", ["short", "changed"])
def test_a_file_that_fails_breaks_the_response(settings: Settings, tmp_path: Path, fault: str) -> None:
    with Live(settings) as live, httpx.Client(base_url=live.url, trust_env=False) as http:
        links = http.post("/v1/jobs", json=SPEC).json()["links"]
        job_id = publish(live.parts, tmp_path, FILES)
        stored = settings.home / "storage" / "jobs" / job_id / "a1" / BEST_MODEL
        content = stored.read_bytes()
        stored.write_bytes(content[:-1] if fault == "short" else b"x" * len(content))
        with pytest.raises(httpx.RemoteProtocolError, match="peer closed"):
            http.get(links["export"])


@ON_DISK
def test_the_zip_belongs_to_its_tenant(settings: Settings, tmp_path: Path) -> None:
    with Live(replace(settings, auth="keys")) as live, httpx.Client(base_url=live.url, trust_env=False) as http:
        keys = {
            (owner, scope): {"Authorization": f"Bearer {live.parts.keys.create(owner, [scope])}"}
            for owner in ("alice", "bob")
            for scope in (Scope.READ, Scope.WRITE)
        }
        job = http.post("/v1/jobs", json=SPEC, headers=keys["alice", Scope.WRITE]).json()
        publish(live.parts, tmp_path, FILES)
        statuses = {who: http.get(job["links"]["export"], headers=key).status_code for who, key in keys.items()}
    assert statuses == {
        ("alice", Scope.READ): 200,
        ("alice", Scope.WRITE): 403,
        ("bob", Scope.READ): 404,
        ("bob", Scope.WRITE): 403,
    }
