"""What a running fit uses stays until the fit has ended."""

from pathlib import Path

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update

from service.core.sql.expired import Expiry
from service.core.sql.tables import datasets, jobs, weights
from service.services import Services
from tests.pictures import folders, zipped
from tests.service.api.fits import better_than_the_base, run_to_the_end, train
from tests.service.api.requests import expect_problem
from tests.service.api.uploads import ready
from tests.service.small_weights import ARCH, small_state, torch_file

BINARY = "application/octet-stream"


def test_what_a_running_fit_uses_is_not_deleted(
    app: Flask, client: FlaskClient, services: Services, tmp_path: Path
) -> None:
    dataset = ready(client, services, zipped(folders(each=20)))["id"]
    sent = client.post("/v1/weights", query_string={"arch": ARCH}, data=torch_file(small_state()), content_type=BINARY)
    request = {"dataset": {"id": dataset}, "jobs": 2, "spec": {"model": {"arch": ARCH, "weights": sent.json["id"]}}}
    created = client.post("/v1/fits", json=request).json
    train(services, tmp_path, better_than_the_base)
    with services.database.write() as c:
        c.execute(update(jobs).values(finished_at=1.0))
        for table in (datasets, weights):
            c.execute(update(table).values(created_at=1.0, used_at=1.0))
    expiry = Expiry(services.database)
    addresses = (f"/v1/jobs/{created['steps'][0]['job']}", f"/v1/datasets/{dataset}", sent.headers["Location"])
    for address in addresses:
        assert f"fit {created['id']} uses" in expect_problem(client.delete(address), 409)["detail"]
    assert not [*expiry.jobs(1, 0), *expiry.datasets(1, 0), *expiry.weights(1, 0)]
    run_to_the_end(app, services, created["id"], tmp_path)
    with services.database.write() as c:
        c.execute(update(jobs).values(finished_at=1.0))
    assert all((expiry.jobs(1, 0), expiry.datasets(1, 0), expiry.weights(1, 0)))
    for address in addresses:
        assert client.delete(address).status_code == 204
