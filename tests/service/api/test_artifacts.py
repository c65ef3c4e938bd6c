"""Artifacts over HTTP: the manifest, downloads, ranges, preconditions."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from service.services import Services
from tests.servers import ON_DISK
from tests.service.api.requests import expect_problem, submit
from tests.service.worker_steps import claim, finish


def test_artifact_downloads_whole_in_part_and_conditionally(
    client: FlaskClient, services: Services, tmp_path: Path
) -> None:
    content = bytes(range(256)) * 500
    job = submit(client)
    finish(services, claim(services), tmp_path, content)
    path = f"/v1/jobs/{job['id']}/artifacts"
    (entry,) = client.get(path).json["data"]
    assert entry == {
        "name": "best_model.pth",
        "bytes": len(content),
        "media_type": "application/octet-stream",
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    path = f"{path}/best_model.pth"
    whole = client.get(path, buffered=True)
    assert whole.data == content
    assert whole.headers["ETag"] == f'"{entry["sha256"]}"'
    assert whole.content_length == len(content)
    head = client.head(path, buffered=True)
    assert (head.status_code, head.content_length, head.data) == (200, len(content), b"")
    part = client.get(path, buffered=True, headers={"Range": "bytes=1000-1999"})
    assert (part.status_code, part.data) == (206, content[1000:2000])
    assert part.headers["Content-Range"] == f"bytes 1000-1999/{len(content)}"
    assert client.get(path, buffered=True, headers={"Range": "bytes=-10"}).data == content[-10:]
    assert client.get(path, buffered=True, headers={"If-None-Match": whole.headers["ETag"]}).status_code == 304
    beyond = client.get(path, buffered=True, headers={"Range": f"bytes={len(content)}-"})
    expect_problem(beyond, 416)
    assert beyond.headers["Content-Range"] == f"bytes */{len(content)}"


@ON_DISK
@pytest.mark.parametrize("requested", ["items=0-1", "bytes=0-1,3-4", "bytes=5-2", "bytes=a-b", "bytes=", "bytes=-"])
def test_unsupported_range_is_ignored(client: FlaskClient, services: Services, tmp_path: Path, requested: str) -> None:
    job = submit(client)
    finish(services, claim(services), tmp_path)
    path = f"/v1/jobs/{job['id']}/artifacts/best_model.pth"
    answer = client.get(path, buffered=True, headers={"Range": requested})
    assert (answer.status_code, answer.data) == (200, b"weights")
    longer = client.get(path, buffered=True, headers={"Range": "bytes=-99"})
    assert (longer.status_code, longer.data) == (206, b"weights")
    tag = answer.headers["ETag"]
    weak = client.get(path, buffered=True, headers={"Range": "bytes=0-1", "If-Range": f"W/{tag}"})
    assert (weak.status_code, weak.data) == (200, b"weights")
    strong = client.get(path, buffered=True, headers={"Range": "bytes=0-1", "If-Range": tag})
    assert (strong.status_code, strong.data) == (206, b"we")


def test_failed_precondition_is_412_and_star_always_holds(
    client: FlaskClient, services: Services, tmp_path: Path
) -> None:
    job = submit(client)
    finish(services, claim(services), tmp_path)
    for path in (job["links"]["self"], f"{job['links']['artifacts']}/best_model.pth"):
        expect_problem(client.get(path, buffered=True, headers={"If-Match": '"x"'}), 412)
        assert client.get(path, buffered=True, headers={"If-Match": "*"}).status_code == 200


@ON_DISK
@pytest.mark.parametrize(
    ("preconditions", "status"),
    [
        ({"If-None-Match": "TAG"}, 304),
        ({"If-None-Match": '"x", W/TAG'}, 304),
        ({"If-None-Match": "*"}, 304),
        ({"If-None-Match": '"x"'}, 206),
        ({"If-Match": '"x"'}, 412),
        ({"If-Match": "TAG"}, 206),
    ],
)
def test_a_precondition_comes_before_the_range(
    client: FlaskClient, services: Services, tmp_path: Path, preconditions: dict[str, str], status: int
) -> None:
    job = submit(client)
    finish(services, claim(services), tmp_path)
    path = f"{job['links']['artifacts']}/best_model.pth"
    tag = client.head(path, buffered=True).headers["ETag"]
    headers = {name: value.replace("TAG", tag) for name, value in preconditions.items()}
    for part in ("bytes=0-1", "bytes=3-"):
        answer = client.get(path, buffered=True, headers=headers | {"Range": part})
        assert answer.status_code == status
        assert ("Content-Range" in answer.headers) == (status == 206)


def test_artifact_of_a_job_deleted_meanwhile_is_404(client: FlaskClient, services: Services, tmp_path: Path) -> None:
    job = submit(client)
    finish(services, claim(services), tmp_path)
    path = f"{job['links']['artifacts']}/best_model.pth"
    services.storage.delete(f"jobs/{job['id']}")
    expect_problem(client.get(path), 503)
    manifest = services.store.queries.artifacts

    def deleted_after_the_read(tenant: str, job_id: str) -> Any:
        artifacts = manifest(tenant, job_id)
        services.store.actions.delete(tenant, job_id)
        return artifacts

    services.store.queries.artifacts = deleted_after_the_read  # type: ignore[method-assign]  # a deletion between two statements
    expect_problem(client.get(path), 404)


@ON_DISK
@pytest.mark.parametrize("name", ["nothing.bin", "..%2f..%2frightfit.db", "%00", "..%5c..%5cx"])
def test_artifact_outside_the_manifest_is_404(
    client: FlaskClient, services: Services, tmp_path: Path, name: str
) -> None:
    job = submit(client)
    finish(services, claim(services), tmp_path)
    expect_problem(client.get(f"/v1/jobs/{job['id']}/artifacts/{name}"), 404)


def test_job_without_results_has_an_empty_manifest(client: FlaskClient) -> None:
    assert client.get(submit(client)["links"]["artifacts"]).json["data"] == []
