"""What a client sees: answers, errors, caching, waiting, downloads."""

import csv
import hashlib
import io
import math
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from openapi_spec_validator import validate
from PIL import Image

from service.app import create_app
from service.core.settings import Settings
from service.services import Services
from tests.servers import ON_DISK, REMOTE, Postgresql
from tests.service.api.requests import SPEC, expect_problem, submit
from tests.service.worker_steps import claim, epoch, finish


def test_submit_answers_with_address_and_effective_spec(client: FlaskClient) -> None:
    answer = client.post("/v1/jobs", json=SPEC | {"labels": {"a": "b"}})
    job = answer.json
    assert answer.status_code == 202
    assert answer.headers["Location"] == f"/v1/jobs/{job['id']}"
    assert (job["status"], job["queue"]["jobs_ahead"], job["labels"]) == ("queued", 0, {"a": "b"})
    assert isinstance(job["spec"]["seed"], int)
    assert job["spec"]["early_stopping"]["mode"] == "min"
    assert client.get(job["links"]["self"]).json == job


def test_plan_counts_parameters_and_stores_nothing(client: FlaskClient) -> None:
    answer = client.post("/v1/jobs?validate_only=true", json=SPEC)
    assert answer.status_code == 200
    assert answer.json["parameters"] == 53_002
    assert answer.json["memory"]["data_bytes"] == 1797 * 64
    assert client.get("/v1/jobs").json["data"] == []


def test_plan_lists_layer_sizes_of_each_kind_of_network(client: FlaskClient) -> None:
    resnet = {"dataset": {"id": "digits", "image_size": 32}, "model": {"arch": "resnet18"}}
    plan = client.post("/v1/jobs?validate_only=true", json=resnet).json
    assert plan["parameters"] == 11_689_512 - 1000 * 513 + 10 * 513 - 2 * 64 * 49
    assert [layer["output"] for layer in plan["layers"]] == [[512], [10]]
    assert plan["memory"]["data_bytes"] == 1797 * 32 * 32
    layers = [{"type": "conv2d", "channels": 6, "stride": 2}, {"type": "flatten"}, {"type": "linear"}]
    plan = client.post("/v1/jobs?validate_only=true", json=SPEC | {"model": {"arch": "layers", "layers": layers}}).json
    assert [layer["output"] for layer in plan["layers"]] == [[6, 4, 4], [96], [10]]
    assert [layer["name"] for layer in plan["layers"]] == ["0 conv2d", "1 flatten", "2 linear"]
    assert plan["parameters"] == 6 * 10 + 97 * 10


@ON_DISK
@pytest.mark.parametrize("query", ["", "?validate_only=true"])
@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"dataset": {"id": "nothing"}}, "/dataset/id"),
        ({"model": {"channels": [8, 8, 8, 8]}}, "/model/channels"),
        ({"optimizer": {"nesterov": True}}, "/optimizer/nesterov"),
        ({"epochs": 0}, "/epochs"),
        ({"model": {"arch": "layers", "layers": [{"type": "relu"}, {"type": "linear"}]}}, "/model/layers/1"),
        ({"model": {"arch": "layers", "layers": [{"type": "flatten"}]}}, "/model/layers"),
        ({"model": {"arch": "layers"}}, "/model/layers"),
        (
            {"model": {"arch": "squeezenet1_1"}, "regularization": {"stochastic_depth": 0.1}},
            "/regularization/stochastic_depth",
        ),
        ({"augmentation": {"crop_padding": 8}}, "/augmentation/crop_padding"),
    ],
)
def test_spec_that_cannot_run_is_refused_with_its_fault(
    client: FlaskClient, query: str, changes: dict[str, Any], pointer: str
) -> None:
    problem = expect_problem(client.post(f"/v1/jobs{query}", json=SPEC | changes), 422)
    assert [fault["pointer"] for fault in problem["errors"]] == [pointer]
    assert problem["errors"][0]["allowed"]
    assert client.get("/v1/jobs").json["data"] == []


def test_faulty_network_is_not_checked_against_its_default(client: FlaskClient) -> None:
    faulty = {
        "dataset": {"id": "digits"}, "regularization": {"stochastic_depth": 0.1, "spatial_dropout": 0.1},
        "model": {"arch": "layers", "layers": [{"type": "conv2d", "channels": 0}]}, "optimizer": {"nesterov": True},
    }  # fmt: skip
    problem = expect_problem(client.post("/v1/jobs", json=faulty), 422)
    assert {fault["pointer"] for fault in problem["errors"]} == {"/model/layers/0/channels", "/optimizer/nesterov"}


def test_faults_of_values_and_of_combinations_come_together(client: FlaskClient) -> None:
    bad = {
        "dataset": {"id": "nothing", "val_fraction": 9}, "epochs": 0,
        "optimizer": {"name": "adam", "nesterov": True, "lr": -1},
        "early_stopping": {"monitor": "sleep", "mode": "max"},
    }  # fmt: skip
    problem = expect_problem(client.post("/v1/jobs", json=bad), 422)
    assert {fault["pointer"] for fault in problem["errors"]} == {
        "/dataset/id", "/dataset/val_fraction", "/epochs", "/optimizer/nesterov", "/optimizer/lr",
        "/early_stopping/monitor",
    }  # fmt: skip
    both = expect_problem(
        client.post("/v1/jobs", json=SPEC | {"model": {"channels": [8] * 8}, "optimizer": {"nesterov": True}}), 422
    )
    assert {fault["pointer"] for fault in both["errors"]} == {"/model/channels", "/optimizer/nesterov"}


def test_malformed_request_is_refused_with_the_reason(client: FlaskClient) -> None:
    as_json = {"content_type": "application/json"}
    assert "not valid JSON" in expect_problem(client.post("/v1/jobs", data=b"{no", **as_json), 400)["detail"]
    assert "deeply" in expect_problem(client.post("/v1/jobs", data=b"[" * 100_000, **as_json), 400)["detail"]
    assert "application/json" in expect_problem(client.post("/v1/jobs", data=b"a=1"), 415)["detail"]
    digits = b'{"dataset": {"id": "digits"}, "seed": ' + b"9" * 5000 + b"}"
    assert "not valid JSON" in expect_problem(client.post("/v1/jobs", data=digits, **as_json), 400)["detail"]
    expect_problem(client.post("/v1/jobs?validate_only=maybe", data=b"[" * 100_000, **as_json), 422)
    expect_problem(client.post("/v1/jobs", json=[]), 422)
    expect_problem(client.post("/v1/jobs", data=b"null", **as_json), 422)
    expect_problem(client.post("/v1/jobs", data=b" " * (2 << 20), **as_json), 413)
    expect_problem(client.get("/v1/jobs/job_nothing"), 404)
    expect_problem(client.get("/nowhere"), 404)
    expect_problem(client.get("/v1/jobs/%00"), 404)
    not_allowed = client.delete("/v1/jobs")
    expect_problem(not_allowed, 405)
    assert "GET" in not_allowed.headers["Allow"]


@ON_DISK
@pytest.mark.parametrize(
    ("path", "pointer"),
    [
        ("/v1/jobs?limit=0", "/limit"),
        ("/v1/jobs?limit=x", "/limit"),
        ("/v1/jobs?after=garbage", "/after"),
        ("/v1/jobs?status=sleeping", "/status/0"),
        ("/v1/jobs?label=x", "/label/0"),
        ("/v1/jobs?label=a%00=b", "/label/0"),
        ("/v1/jobs?lim=1", "/lim"),
        ("/v1/jobs/j?wait=61", "/wait"),
        ("/v1/jobs/j?wait=nan", "/wait"),
        ("/v1/jobs/j/history?format=xml", "/format"),
        ("/v1/jobs/j/history?after_epoch=-1", "/after_epoch"),
    ],
)
def test_bad_query_is_refused_with_the_parameter(client: FlaskClient, path: str, pointer: str) -> None:
    problem = expect_problem(client.get(path), 422)
    assert [fault["pointer"] for fault in problem["errors"]] == [pointer]
    assert problem["errors"][0]["allowed"]


def test_request_id_is_kept_if_it_is_a_plain_word(client: FlaskClient) -> None:
    assert client.get("/livez", headers={"X-Request-Id": "abc-1"}).headers["X-Request-Id"] == "abc-1"
    assert client.get("/livez", headers={"X-Request-Id": "a b"}).headers["X-Request-Id"] != "a b"


def test_list_pages_through_all_jobs_and_filters(client: FlaskClient) -> None:
    ids = [submit(client, labels={"n": str(n)})["id"] for n in range(5)]
    seen: list[str] = []
    cursor = ""
    while True:
        page = client.get(f"/v1/jobs?limit=2{cursor}").json
        seen += [job["id"] for job in page["data"]]
        if not page["has_more"]:
            break
        cursor = f"&after={page['next_cursor']}"
    assert seen == ids[::-1]
    client.post(f"/v1/jobs/{ids[1]}/cancel")
    found = client.get("/v1/jobs?status=cancelled&status=failed").json["data"]
    assert [job["id"] for job in found] == [ids[1]]
    assert [job["id"] for job in client.get("/v1/jobs?label=n=3").json["data"]] == [ids[3]]
    assert client.get("/v1/jobs?label=n=3&label=n=4").json["data"] == []


def test_history_as_json_csv_and_text(client: FlaskClient, services: Services) -> None:
    job = submit(client)
    lease = claim(services)
    services.store.append(lease, [epoch(1, 0.9, improved=True), epoch(2, math.nan), epoch(3, 0.7, improved=True)])
    path = f"/v1/jobs/{job['id']}/history"
    whole = client.get(path).json
    assert [row["val_loss"] for row in whole["data"]] == [0.9, None, 0.7]
    assert [row["flag"] for row in whole["data"]] == [None, "nan", None]
    assert (whole["best"]["epoch"], whole["last"]["epoch"]) == (3, 3)
    assert [row["epoch"] for row in client.get(f"{path}?after_epoch=2").json["data"]] == [3]
    table = client.get(f"{path}?format=csv")
    assert table.mimetype == "text/csv"
    rows = list(csv.DictReader(io.StringIO(table.text)))
    assert [row["val_loss"] for row in rows] == ["0.9", "", "0.7"]
    text = client.get(f"{path}?format=text")
    assert text.mimetype == "text/plain"
    assert "best: epoch 3" in text.text
    assert max(map(len, text.text.splitlines())) <= 80


def test_polling_an_unchanged_job_returns_304(client: FlaskClient, services: Services) -> None:
    path = submit(client)["links"]["self"]
    tag = client.get(path).headers["ETag"]
    assert client.get(path, headers={"If-None-Match": tag}).status_code == 304
    claim(services)
    assert client.get(path, headers={"If-None-Match": tag}).status_code == 200


def test_wait_ends_when_the_job_changes(client: FlaskClient, services: Services) -> None:
    path = submit(client)["links"]["self"]
    threading.Timer(0.3, claim, [services]).start()
    started = time.monotonic()
    job = client.get(f"{path}?wait=30").json
    assert job["status"] == "running"
    assert time.monotonic() - started < 15


def test_wait_for_a_missed_change_ends_at_once(client: FlaskClient, services: Services) -> None:
    path = submit(client)["links"]["self"]
    tag = client.get(path).headers["ETag"]
    claim(services)
    started = time.monotonic()
    assert client.get(f"{path}?wait=30", headers={"If-None-Match": tag}).json["status"] == "running"
    assert time.monotonic() - started < 15


def test_new_queue_position_changes_the_etag(client: FlaskClient) -> None:
    first, second = submit(client)["links"], submit(client)["links"]
    tag = client.get(second["self"]).headers["ETag"]
    client.post(first["cancel"])
    answer = client.get(second["self"], headers={"If-None-Match": tag})
    assert (answer.status_code, answer.json["queue"]["jobs_ahead"]) == (200, 0)


def test_waits_beyond_the_limit_are_answered_at_once(client: FlaskClient, services: Services) -> None:
    path = submit(client)["links"]["self"]
    while services.waiting.enter("default"):
        pass
    started = time.monotonic()
    assert client.get(f"{path}?wait=60").json["status"] == "queued"
    assert time.monotonic() - started < 30


def test_wait_without_a_change_ends_after_its_time(client: FlaskClient) -> None:
    path = submit(client)["links"]["self"]
    answer = client.get(f"{path}?wait=0.3")
    assert (answer.status_code, answer.json["status"]) == (200, "queued")


def test_cancelled_job_is_deleted_with_its_files(client: FlaskClient, services: Services, tmp_path: Path) -> None:
    job = submit(client)
    path = job["links"]["self"]
    expect_problem(client.delete(path), 409)
    lease = claim(services)
    assert client.post(f"{path}/cancel").status_code == 202
    finish(services, lease, tmp_path)
    assert client.post(f"{path}/cancel").status_code == 200
    assert client.delete(path).status_code == 204
    expect_problem(client.get(path), 404)
    assert not [found for found in (services.settings.home / "storage").rglob("*") if found.is_file()]


def test_artifact_downloads_whole_in_part_and_conditionally(
    client: FlaskClient, services: Services, tmp_path: Path
) -> None:
    content = bytes(range(256)) * 500
    job = submit(client)
    finish(services, claim(services), tmp_path, content)
    path = f"/v1/jobs/{job['id']}/artifacts"
    (entry,) = client.get(path).json["data"]
    assert entry == {
        "name": "best_model.pth", "bytes": len(content), "media_type": "application/octet-stream",
        "sha256": hashlib.sha256(content).hexdigest(),
    }  # fmt: skip
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
@pytest.mark.parametrize("wanted", ["items=0-1", "bytes=0-1,3-4", "bytes=5-2", "bytes=a-b", "bytes=", "bytes=-"])
def test_unsupported_range_is_ignored(client: FlaskClient, services: Services, tmp_path: Path, wanted: str) -> None:
    job = submit(client)
    finish(services, claim(services), tmp_path)
    path = f"/v1/jobs/{job['id']}/artifacts/best_model.pth"
    answer = client.get(path, buffered=True, headers={"Range": wanted})
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


def test_artifact_of_a_job_deleted_meanwhile_is_404(client: FlaskClient, services: Services, tmp_path: Path) -> None:
    job = submit(client)
    finish(services, claim(services), tmp_path)
    path = f"{job['links']['artifacts']}/best_model.pth"
    services.storage.delete(f"jobs/{job['id']}")
    expect_problem(client.get(path), 503)
    manifest = services.store.artifacts

    def deleted_after_the_look(tenant: str, job_id: str) -> Any:
        found = manifest(tenant, job_id)
        services.store.delete(tenant, job_id)
        return found

    services.store.artifacts = deleted_after_the_look  # type: ignore[method-assign]  # the moment between two statements
    expect_problem(client.get(path), 404)


def test_many_faults_are_answered_briefly(client: FlaskClient) -> None:
    for flood in (
        {"model": {"channels": [0] * 100_000}},
        {"labels": {f"bad key {n}": "x" for n in range(20_000)}},
        {f"unknown{n}": 1 for n in range(20_000)},
    ):
        answer = client.post("/v1/jobs", json=SPEC | flood)
        assert len(expect_problem(answer, 422)["errors"]) <= 100
        assert len(answer.data) < 100_000


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


def test_built_in_datasets_are_listed(client: FlaskClient) -> None:
    found = {entry["id"]: entry for entry in client.get("/v1/datasets").json["data"]}
    assert found.keys() == {"digits", "mnist", "fashion-mnist", "cifar10", "cifar100", "synthetic"}
    digits = found["digits"]
    assert (digits["id"], digits["samples"], digits["status"]) == ("digits", 1797, "ready")
    assert client.get("/v1/datasets/digits").json == digits
    expect_problem(client.get("/v1/datasets/nothing"), 404)


def test_healthy_process_is_ready(client: FlaskClient) -> None:
    assert client.get("/livez").status_code == 200
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json["checks"]["database"], answer.json["workers"]) == (200, "ok", 0)


@ON_DISK
def test_process_with_unwritable_storage_is_not_ready(client: FlaskClient, services: Services) -> None:
    (services.settings.home / "storage").write_text("in the way")
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert "Retry-After" in answer.headers


def test_api_document_is_valid_and_names_every_route(client: FlaskClient) -> None:
    document = client.get("/openapi.json").json
    validate(document)
    assert document["openapi"].startswith("3.1")
    routes = {str(rule) for rule in client.application.url_map.iter_rules() if str(rule).startswith("/v1/")}
    documented = {path.replace("{", "<").replace("}", ">") for path in document["paths"]}
    assert routes == documented
    operations = [
        op for path in document["paths"].values() for name, op in path.items() if name in ("get", "post", "delete")
    ]
    assert all(op.get("summary") for op in operations)


def test_api_page_loads_nothing_from_other_hosts(client: FlaskClient) -> None:
    page = client.get("/docs")
    assert page.status_code == 200
    assert b"http://" not in page.data
    assert b"https://" not in page.data
    for name in ("swagger-ui.css", "swagger-ui-bundle.js", "swagger-ui-standalone-preset.js"):
        with client.get(f"/docs/assets/{name}") as asset:
            assert asset.status_code == 200
            assert name.encode() in page.data


def test_internal_error_does_not_show_its_details(client: FlaskClient, services: Services) -> None:
    job = submit(client)
    with services.database.write() as c:
        c.exec_driver_sql("UPDATE jobs SET status = 'confused'")
    problem = expect_problem(client.get(f"/v1/jobs/{job['id']}"), 500)
    assert "confused" not in problem["detail"]


def test_history_picture_is_cached_until_it_changes(client: FlaskClient, services: Services) -> None:
    job = submit(client, name="a $curve")
    lease = claim(services)
    empty = client.get(f"{job['links']['history']}.png")
    assert empty.status_code == 200
    services.store.append(lease, [epoch(1, 0.9, improved=True), epoch(2, 0.7, improved=True), epoch(3, 0.8)])
    png, svg = (client.get(f"{job['links']['history']}.{kind}") for kind in ("png", "svg"))
    assert (png.mimetype, svg.mimetype) == ("image/png", "image/svg+xml")
    with Image.open(io.BytesIO(png.data)) as picture:
        assert picture.size == (800, 500)
        blue = sum(pixel == (0, 114, 178) for pixel in picture.convert("RGB").get_flattened_data())
    assert blue > 100, "the validation loss is drawn"
    assert b"<svg" in svg.data
    assert png.data != empty.data
    again = client.get(f"{job['links']['history']}.png", headers={"If-None-Match": png.headers["ETag"]})
    assert again.status_code == 304
    expect_problem(client.get("/v1/jobs/job_none/history.png"), 404)


@REMOTE
def test_database_without_tables_is_unavailable(settings: Settings, postgresql_server: Postgresql) -> None:
    with postgresql_server.empty() as url:
        app = create_app(replace(settings, database_url=url))
        answer = app.test_client().get("/v1/jobs")
        assert expect_problem(answer, 503)["code"] == "database_unavailable"
        assert answer.headers["Retry-After"]
        app.extensions["rightfit"].database.close()
