"""Data sets over HTTP: uploaded, read, named in specs, deleted."""

import hashlib
import io

import numpy as np
import pytest
from flask.testing import FlaskClient

from service.core.errors import ObjectMissing
from service.services import Services
from tests.pictures import arrays, encoded, folders, stripes, tarred, zipped
from tests.service.api.requests import expect_problem
from tests.service.api.uploads import ZIP, ready, send
from tests.service.worker_steps import read_datasets


def test_dataset_is_uploaded_read_and_described(client: FlaskClient, services: Services) -> None:
    data = zipped(folders(each=4))
    sent = send(client, data)
    assert (sent["status"], sent["name"], sent["classes"], sent["samples"]) == ("processing", "my set", None, None)
    assert (sent["bytes"], sent["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
    expect_problem(client.post("/v1/jobs", json={"dataset": {"id": sent["id"]}}), 422)
    read_datasets(services)
    dataset = client.get(f"/v1/datasets/{sent['id']}").json
    assert (dataset["status"], dataset["samples"], dataset["shape"]) == ("ready", 12, [1, 16, 16])
    assert dataset["samples_per_class"] == {"checks": 4, "columns": 4, "rows": 4}
    assert dataset["sizes"] == [{"width": 16, "height": 16, "images": 12}]
    assert dataset["error"] is None


@pytest.mark.parametrize(
    ("content_type", "data"),
    [
        ("application/gzip", tarred(folders(each=2))),
        ("application/x-tar", tarred(folders(each=2), packed=False)),
        ("application/x-npz", arrays(np.zeros((4, 2, 2), np.uint8), [0, 1, 0, 1])),
    ],
)
def test_body_is_read_by_its_content_type(
    client: FlaskClient, services: Services, content_type: str, data: bytes
) -> None:
    assert ready(client, services, data, content_type)["samples"] in (4, 6)


def test_upload_by_multipart_form(client: FlaskClient, services: Services) -> None:
    form = {"name": "by form", "file": (io.BytesIO(zipped(folders(each=2))), "a.zip", ZIP)}
    answer = client.post("/v1/datasets", data=form, content_type="multipart/form-data")
    assert (answer.status_code, answer.json["name"]) == (202, "by form")
    form = {"file": (io.BytesIO(tarred(folders(each=2))), "stripes.tar.gz", "application/octet-stream")}
    answer = client.post("/v1/datasets", data=form, content_type="multipart/form-data")
    assert (answer.status_code, answer.json["name"]) == (202, "stripes.tar.gz")
    read_datasets(services)
    assert client.get(answer.headers["Location"]).json["status"] == "ready"


def test_bad_upload_is_refused_with_what_is_allowed(client: FlaskClient) -> None:
    good = zipped(folders(each=2))
    problem = expect_problem(client.post("/v1/datasets?name=a", data=good, content_type="application/x-rar"), 415)
    assert "application/zip" in problem["detail"]
    expect_problem(client.post("/v1/datasets?name=a", data=good), 415)
    expect_problem(client.post("/v1/datasets?name=a", data=b"", content_type=ZIP), 400)
    problem = expect_problem(client.post("/v1/datasets", data=good, content_type=ZIP), 422)
    assert problem["errors"][0]["pointer"] == "/name"
    expect_problem(client.post(f"/v1/datasets?name={'x' * 101}", data=good, content_type=ZIP), 422)
    expect_problem(client.post("/v1/datasets?nmae=x", data=good, content_type=ZIP), 422)
    problem = expect_problem(client.post("/v1/datasets", data={"name": "x"}, content_type="multipart/form-data"), 422)
    assert problem["errors"][0]["pointer"] == "/file"
    form = {"name": "x", "file": (io.BytesIO(good), "a.rar", "application/x-rar")}
    expect_problem(client.post("/v1/datasets", data=form, content_type="multipart/form-data"), 415)


def test_failed_dataset_names_the_file_and_the_reason(client: FlaskClient, services: Services) -> None:
    sent = send(client, zipped(folders(each=2) | {"rows/001.png": b"no picture"}))
    read_datasets(services)
    dataset = client.get(f"/v1/datasets/{sent['id']}").json
    assert (dataset["status"], dataset["error"]["code"]) == ("failed", "invalid_data")
    assert "rows/001.png" in dataset["error"]["detail"]
    problem = expect_problem(client.post("/v1/jobs", json={"dataset": {"id": sent["id"]}}), 422)
    assert problem["errors"][0]["pointer"] == "/dataset/id"
    assert client.delete(f"/v1/datasets/{sent['id']}").status_code == 204


def test_dataset_is_deleted_once_no_live_job_uses_it(client: FlaskClient, services: Services) -> None:
    dataset = ready(client, services, zipped(folders(each=10)))
    address = f"/v1/datasets/{dataset['id']}"
    job = client.post("/v1/jobs", json={"dataset": {"id": dataset["id"]}}).json
    expect_problem(client.delete(address), 409)
    client.post(f"/v1/jobs/{job['id']}/cancel")
    assert client.delete(address).status_code == 204
    expect_problem(client.get(address), 404)
    expect_problem(client.delete(address), 404)
    expect_problem(client.post("/v1/jobs", json={"dataset": {"id": dataset["id"]}}), 422)
    expect_problem(client.delete("/v1/datasets/digits"), 409)
    with pytest.raises(ObjectMissing):
        services.storage.open(f"datasets/{dataset['id']}/a1/pixels.bin")


def test_list_is_newest_first_and_ends_with_built_in_datasets(client: FlaskClient) -> None:
    ids = [send(client, zipped(folders(each=1)), name=f"set {i}")["id"] for i in range(3)]
    page = client.get("/v1/datasets?limit=2").json
    assert [dataset["id"] for dataset in page["data"]] == ids[:0:-1]
    assert page["has_more"]
    rest = client.get(f"/v1/datasets?limit=2&after={page['next_cursor']}").json
    assert [dataset["id"] for dataset in rest["data"]][:2] == [ids[0], "digits"]
    assert not rest["has_more"]


def test_job_has_warnings_from_its_data_and_its_spec(client: FlaskClient, services: Services) -> None:
    copies = {f"rows/copy{i}.png": folders(each=1)["rows/000.png"] for i in range(5)}
    dataset = ready(client, services, zipped(folders(each=20) | copies))
    job = client.post("/v1/jobs", json={"dataset": {"id": dataset["id"]}}).json
    assert any("exact duplicates: 5 images" in warning for warning in job["warnings"])
    assert any("only 13 validation images" in warning and "74% to 100%" in warning for warning in job["warnings"])
    assert client.get(f"/v1/jobs/{job['id']}").json["warnings"] == job["warnings"]


def test_images_of_several_sizes_set_image_size_in_the_spec(client: FlaskClient, services: Services) -> None:
    big = {f"rows/big{i}.png": encoded(stripes("rows", i, 40)) for i in range(3)}
    dataset = ready(client, services, zipped(folders(each=10) | big))
    job = client.post("/v1/jobs", json={"dataset": {"id": dataset["id"]}}).json
    assert job["spec"]["dataset"]["image_size"] == 16
    asked = client.post("/v1/jobs", json={"dataset": {"id": dataset["id"], "image_size": 24}}).json
    assert asked["spec"]["dataset"]["image_size"] == 24


def test_fractions_that_folders_overrule_are_warned_of(client: FlaskClient, services: Services) -> None:
    files = {f"train/{name}": data for name, data in folders(each=10).items()}
    files |= {f"val/{name}": data for name, data in folders(each=4, first=30).items()}
    dataset = ready(client, services, zipped(files))
    assert dataset["split"] == {"train": 30, "validation": 12}
    job = client.post("/v1/jobs", json={"dataset": {"id": dataset["id"], "val_fraction": 0.3}}).json
    assert any("val_fraction is not used" in warning for warning in job["warnings"])


def test_body_without_length_is_limited_as_well(client: FlaskClient, services: Services) -> None:
    object.__setattr__(services.settings, "max_upload_bytes", 2000)
    data = zipped(folders(each=10))
    expect_problem(client.post("/v1/datasets?name=a", data=data, content_type=ZIP), 413)
    endless = client.post(
        "/v1/datasets?name=a",
        input_stream=io.BytesIO(data),
        content_type=ZIP,
        headers={"Transfer-Encoding": "chunked"},
        environ_overrides={"wsgi.input_terminated": True},
    )
    expect_problem(endless, 413)
    assert client.get("/v1/datasets").json["data"][0]["id"] == "digits"


def test_built_in_datasets_are_listed(client: FlaskClient) -> None:
    datasets = {entry["id"]: entry for entry in client.get("/v1/datasets").json["data"]}
    assert datasets.keys() == {"digits", "mnist", "fashion-mnist", "cifar10", "cifar100", "synthetic"}
    digits = datasets["digits"]
    assert (digits["id"], digits["samples"], digits["status"]) == ("digits", 1797, "ready")
    assert client.get("/v1/datasets/digits").json == digits
    expect_problem(client.get("/v1/datasets/nothing"), 404)


def test_options_of_reading_come_from_the_query_or_the_form(client: FlaskClient, services: Services) -> None:
    data = zipped(folders(each=2))
    address = "/v1/datasets?name=a&skip_broken=true&background=black"
    sent = client.post(address, data=data, content_type=ZIP)
    assert sent.json["options"] == {"skip_broken": True, "background": "black"}
    form = {"file": (io.BytesIO(data), "a.zip", ZIP), "background": "mean"}
    sent = client.post(address, data=form, content_type="multipart/form-data")
    assert sent.json["options"] == {"skip_broken": True, "background": "mean"}
    assert send(client, data)["options"] == {"skip_broken": False, "background": "white"}


@pytest.mark.parametrize("option", ["skip_broken=perhaps", "background=green"])
def test_unknown_options_of_reading_are_refused(client: FlaskClient, option: str) -> None:
    data = zipped(folders(each=2))
    name, value = option.split("=")
    problem = expect_problem(client.post(f"/v1/datasets?name=a&{option}", data=data, content_type=ZIP), 422)
    assert problem["errors"][0]["pointer"] == f"/{name}"
    form = {"file": (io.BytesIO(data), "a.zip", ZIP), name: value}
    problem = expect_problem(client.post("/v1/datasets", data=form, content_type="multipart/form-data"), 422)
    assert problem["errors"][0]["pointer"] == f"/{name}"


def test_a_form_field_that_is_not_known_is_refused(client: FlaskClient) -> None:
    form = {"file": (io.BytesIO(zipped(folders(each=2))), "a.zip", ZIP), "skip_brokn": "true"}
    problem = expect_problem(client.post("/v1/datasets", data=form, content_type="multipart/form-data"), 422)
    assert "did you mean 'skip_broken'" in problem["errors"][0]["detail"]


def test_a_label_file_is_stored_until_the_set_is_read(client: FlaskClient, services: Services) -> None:
    files = {"file": (io.BytesIO(zipped(folders(each=2))), "a.zip", ZIP), "labels": (io.BytesIO(b"a,b"), "l.CSV")}
    sent = client.post("/v1/datasets", data=files, content_type="multipart/form-data").json
    with services.storage.open(f"datasets/{sent['id']}/labels.csv") as stored:
        assert stored.read() == b"a,b"
    reading = services.catalog.claim("worker", 60)
    assert reading is not None
    assert reading.labels is not None
    assert reading.labels.name == "labels.csv"
    files = {"file": (io.BytesIO(b"x"), "a.npz"), "labels": (io.BytesIO(b"a,b"), "l.csv")}
    expect_problem(client.post("/v1/datasets", data=files, content_type="multipart/form-data"), 422)
    files = {"file": (io.BytesIO(b"x"), "a.zip"), "labels": (io.BytesIO(b"a,b"), "l.xlsx")}
    expect_problem(client.post("/v1/datasets", data=files, content_type="multipart/form-data"), 422)


@pytest.mark.parametrize("name", ["a\u00a0b", "\U0001f469\u200d\U0001f52c", "\u200fقطط", "x" * 100])
def test_a_name_may_have_every_character_but_controls(client: FlaskClient, name: str) -> None:
    assert send(client, zipped(folders(each=1)), name=name)["name"] == name
    form = {"file": (io.BytesIO(zipped(folders(each=1))), "a.zip", ZIP), "name": name + "\x07"}
    problem = expect_problem(client.post("/v1/datasets", data=form, content_type="multipart/form-data"), 422)
    assert problem["errors"][0]["pointer"] == "/name"
