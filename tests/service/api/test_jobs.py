"""Jobs over HTTP: submitted, planned, listed, read, deleted."""

import csv
import io
import math
from pathlib import Path

from flask.testing import FlaskClient
from PIL import Image

from service.core.records.submission import NewJob, Origin
from service.core.spec import JobSpec
from service.http.auth import DEFAULT_TENANT
from service.services import Services
from tests.servers import ON_DISK_FIRST
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


def test_a_trial_names_its_fit_and_its_number(client: FlaskClient, services: Services) -> None:
    new = NewJob(JobSpec.from_dict(SPEC).filled(1), origin=Origin(fit="fit_1", trial=3))
    trial, _ = services.store.actions.submit(DEFAULT_TENANT, new)
    of = {job["id"]: (job["fit"], job["trial"]) for job in (submit(client), client.get(f"/v1/jobs/{trial.id}").json)}
    assert of.pop(trial.id) == ("fit_1", 3)
    assert list(of.values()) == [(None, None)]


@ON_DISK_FIRST
def test_plan_counts_parameters_and_stores_nothing(client: FlaskClient) -> None:
    answer = client.post("/v1/jobs?validate_only=true", json=SPEC)
    assert answer.status_code == 200
    assert answer.json["parameters"] == 53_002
    assert answer.json["memory"]["data_bytes"] == 115_008
    assert client.get("/v1/jobs").json["data"] == []


@ON_DISK_FIRST
def test_plan_lists_layer_sizes_of_each_kind_of_network(client: FlaskClient) -> None:
    resnet = {"dataset": {"id": "digits", "image_size": 32}, "model": {"arch": "resnet18"}}
    plan = client.post("/v1/jobs?validate_only=true", json=resnet).json
    assert plan["parameters"] == 11_175_370
    assert [layer["output"] for layer in plan["layers"]] == [[512], [10]]
    assert plan["memory"]["data_bytes"] == 1_840_128
    layers = [{"type": "conv2d", "channels": 6, "stride": 2}, {"type": "flatten"}, {"type": "linear"}]
    plan = client.post("/v1/jobs?validate_only=true", json=SPEC | {"model": {"arch": "layers", "layers": layers}}).json
    assert [layer["output"] for layer in plan["layers"]] == [[6, 4, 4], [96], [10]]
    assert [layer["name"] for layer in plan["layers"]] == ["0 conv2d", "1 flatten", "2 linear"]
    assert plan["parameters"] == 1_030


def test_list_pages_through_all_jobs_and_filters(client: FlaskClient) -> None:
    ids = [submit(client, labels={"n": str(n)})["id"] for n in range(5)]
    seen: list[str] = []
    cursor = ""
    while True:
        page = client.get(f"/v1/jobs?limit=2.0{cursor}").json
        seen += [job["id"] for job in page["data"]]
        if not page["has_more"]:
            break
        cursor = f"&after={page['next_cursor']}"
    assert seen == ids[::-1]
    client.post(f"/v1/jobs/{ids[1]}/cancel")
    ended = client.get("/v1/jobs?status=cancelled&status=failed").json["data"]
    assert [job["id"] for job in ended] == [ids[1]]
    assert [job["id"] for job in client.get("/v1/jobs?label=n=3").json["data"]] == [ids[3]]
    assert client.get("/v1/jobs?label=n=3&label=n=4").json["data"] == []


def test_history_as_json_csv_and_text(client: FlaskClient, services: Services) -> None:
    job = submit(client)
    lease = claim(services)
    services.store.leases.append(
        lease, [epoch(1, 0.9, improved=True), epoch(2, math.nan), epoch(3, 0.7, improved=True)]
    )
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
    assert not [path for path in (services.settings.home / "storage").rglob("*") if path.is_file()]


@ON_DISK_FIRST
def test_history_picture_is_cached_until_it_changes(client: FlaskClient, services: Services) -> None:
    job = submit(client, name="a $curve")
    lease = claim(services)
    empty = client.get(f"{job['links']['history']}.png")
    assert empty.status_code == 200
    services.store.leases.append(lease, [epoch(1, 0.9, improved=True), epoch(2, 0.7, improved=True), epoch(3, 0.8)])
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
