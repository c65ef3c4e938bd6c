"""Single images of data sets over HTTP."""

import io
from pathlib import Path

import numpy as np
import pytest
from flask.testing import FlaskClient
from PIL import Image
from sqlalchemy import update

from service.core.records.builtin_datasets import pack_key
from service.core.sql.tables import datasets
from service.services import Services
from tests.pictures import encoded, folders, stripes, zipped
from tests.servers import ON_DISK
from tests.service.api.requests import expect_problem
from tests.service.api.uploads import ready, send
from workers.trainer.builtin_pack import write_pack
from workers.training.data.digits import load


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


def test_image_has_the_pixels_that_are_trained_on(client: FlaskClient, services: Services) -> None:
    files = folders(each=3) | {"rows/big.png": encoded(stripes("rows", 9, 40))}
    dataset = ready(client, services, zipped(files))
    names = sorted(files)
    for index, name in enumerate(names):
        answer = client.get(f"/v1/datasets/{dataset['id']}/images/{index}")
        np.testing.assert_array_equal(pixels(answer.data), pixels(files[name]))
    again = client.get(
        f"/v1/datasets/{dataset['id']}/images/{len(names) - 1}", headers={"If-None-Match": answer.headers["ETag"]}
    )
    assert again.status_code == 304
    problem = expect_problem(client.get(f"/v1/datasets/{dataset['id']}/images/{len(names)}"), 404)
    assert f"{len(names)} images" in problem["detail"]


@ON_DISK
def test_image_is_scaled_to_the_size_of_the_query(client: FlaskClient, services: Services) -> None:
    files = folders(each=3)
    address = f"/v1/datasets/{ready(client, services, zipped(files))['id']}/images/0"
    original = pixels(files[min(files)])
    enlarged = pixels(client.get(f"{address}?size=64").data)
    np.testing.assert_array_equal(enlarged, original.repeat(4, axis=0).repeat(4, axis=1))
    assert pixels(client.get(f"{address}?size=8").data).shape == (8, 8)
    for size in ("7", "1025", "big"):
        assert expect_problem(client.get(f"{address}?size={size}"), 422)["errors"][0]["allowed"]


@ON_DISK
@pytest.mark.parametrize("index", ["-1", "x", "1.0", "9999999999999999999999"])
def test_index_that_no_image_has_is_404(client: FlaskClient, services: Services, index: str) -> None:
    dataset = ready(client, services, zipped(folders(each=2)))
    expect_problem(client.get(f"/v1/datasets/{dataset['id']}/images/{index}"), 404)


def test_images_of_another_tenant_do_not_exist(client: FlaskClient, services: Services) -> None:
    dataset = ready(client, services, zipped(folders(each=2)))
    with services.database.write() as c:
        c.execute(update(datasets).where(datasets.c.id == dataset["id"]).values(tenant="other"))
    expect_problem(client.get(f"/v1/datasets/{dataset['id']}/images/0"), 404)


@ON_DISK
def test_unread_and_unstored_sets_say_why_there_is_no_image(client: FlaskClient, services: Services) -> None:
    sent = send(client, zipped(folders(each=2)))
    assert "is processing" in expect_problem(client.get(f"/v1/datasets/{sent['id']}/images/0"), 404)["detail"]
    assert "the next job on it does" in expect_problem(client.get("/v1/datasets/digits/images/0"), 404)["detail"]


def test_built_in_set_has_images_once_a_worker_stored_them(
    client: FlaskClient, services: Services, tmp_path: Path
) -> None:
    digits = load()
    write_pack(digits, tmp_path)
    for name in ("pixels.bin", "index.npz"):
        services.storage.put(pack_key("digits", name), tmp_path / name)
    answer = client.get("/v1/datasets/digits/images/1796")
    np.testing.assert_array_equal(pixels(answer.data), digits.stored[1796, 0].numpy())
    sheet = client.get("/v1/datasets/digits/samples.png")
    assert Image.open(io.BytesIO(sheet.data)).size == (312, 520)


@ON_DISK
@pytest.mark.parametrize("name", ["pixels.bin", "index.npz"])
def test_damaged_pack_is_reported(client: FlaskClient, services: Services, name: str) -> None:
    dataset = ready(client, services, zipped(folders(each=2)))
    (path,) = Path(services.settings.home).rglob(f"a1/{name}")
    path.write_bytes(b"damaged")
    expect_problem(client.get(f"/v1/datasets/{dataset['id']}/images/0"), 503)
