"""The page of data sets says what was uploaded twice, and offers to delete what failed."""

import re
import sys
import threading
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from service.services import Services
from tests.pictures import folders, zipped
from tests.ports import eventually
from tests.service.web.pages import looks_right
from tests.service.worker_steps import read_datasets
from workers.datasets import reader_loop


def upload(client: FlaskClient, name: str, data: bytes) -> str:
    """The id of a new data set."""
    answer = client.post(f"/v1/datasets?name={name}", data=data, content_type="application/zip")
    dataset_id: str = answer.get_json()["id"]
    return dataset_id


def test_a_file_that_was_uploaded_twice_is_told(client: FlaskClient, parts: Services) -> None:
    pets = zipped(folders())
    first, second = upload(client, "pets", pets), upload(client, "again", pets)
    other = upload(client, "other", zipped(folders(each=11)))
    read_datasets(parts)
    page = looks_right(client, "/datasets")
    assert re.findall(r'id="same-(ds_\w+)" href="/datasets/(ds_\w+)">pets</a>', page) == [(second, first)]
    assert f'as <a href="/datasets/{first}">pets</a>' in looks_right(client, f"/datasets/{second}")
    for each in (first, other):
        assert "the same file before" not in looks_right(client, f"/datasets/{each}")


def test_a_set_with_broken_files_can_be_uploaded_without_them(client: FlaskClient, parts: Services) -> None:
    broken, flat = (
        upload(client, "pets", zipped({**folders(), "cats/a.png": b"no"})),
        upload(client, "a", zipped({"1.png": b"x"})),
    )
    read_datasets(parts)
    assert 'href="/datasets?skip_broken=yes#send">' in looks_right(client, f"/datasets/{broken}")
    assert "skip_broken=yes" not in looks_right(client, f"/datasets/{flat}")
    chosen = '<details id="more" open>', 'id="skip-broken" checked'
    assert all(part in looks_right(client, "/datasets?skip_broken=yes") for part in chosen)
    assert not any(part in looks_right(client, "/datasets") for part in chosen)


def test_all_failed_data_sets_are_deleted_by_one_button(client: FlaskClient, parts: Services, tmp_path: Path) -> None:
    broken = [upload(client, name, zipped({"cats/a.png": b"no picture"})) for name in ("one", "two")]
    upload(client, "pets", zipped(folders()))
    assert 'id="clear"' not in looks_right(client, "/datasets")
    read_datasets(parts)
    (addresses,) = re.findall(r'id="clear" data-delete="([^"]*)"', looks_right(client, "/datasets"))
    assert sorted(addresses.split()) == sorted(f"/v1/datasets/{each}" for each in broken)
    assert "same file" not in client.get("/datasets").text


def test_page_says_how_many_pictures_are_read(
    client: FlaskClient, parts: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = upload(client, "pets", zipped(folders()))
    assert "A worker reads it next." in looks_right(client, f"/datasets/{dataset}")
    lines = ['{"read": 0, "of": 2000}', '{"read": 1200, "of": 2000}']
    still_reads = f"import time\nprint({lines[0]!r}, {lines[1]!r}, sep='\\n', flush=True)\ntime.sleep(600)"
    monkeypatch.setattr(reader_loop, "READER", (sys.executable, "-c", still_reads))
    stop = threading.Event()
    reading = threading.Thread(target=read_datasets, args=(parts, stop))
    reading.start()
    try:
        assert eventually(lambda: "1,200 of 2,000 pictures are read." in client.get(f"/datasets/{dataset}").text)
    finally:
        stop.set()
        reading.join()
