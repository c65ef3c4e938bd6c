"""Lists: in a terminal their ids are whole, on a pipe everything is."""

from pathlib import Path

import pytest

from service.core.records.dataset import DatasetError
from service.core.settings import Settings
from tests.pictures import folders, zipped
from tests.service.cli.commands import Command, document, train_next_job
from tests.service.live import Live

TERMINAL = {"TTY_COMPATIBLE": "1", "TERM": "dumb", "COLUMNS": "80"}
PIPE = {"COLUMNS": "80"}
LONG = "a name that says what was tried, by whom and to what end, and a little more"


@pytest.fixture
def dataset(rightfit: Command, live: Live, tmp_path: Path) -> str:
    """One that could not be read."""
    (tmp_path / "pets.zip").write_bytes(zipped(folders(each=2)))
    dataset_id = str(document(rightfit("data", "push", str(tmp_path / "pets.zip"), "--name", LONG, "--json"))["id"])
    reading = live.parts.catalog.claim("machine:1", 60)
    assert reading
    live.parts.catalog.fail(reading, DatasetError("invalid_data", "cat/1.png is no picture"))
    return dataset_id


def test_ids_are_whole_in_a_terminal(
    rightfit: Command, spec: str, live: Live, settings: Settings, tmp_path: Path, dataset: str
) -> None:
    job = document(rightfit("train", spec, "--json", "--set", f"name={LONG}"))["id"]
    train_next_job(live, tmp_path)
    assert job in rightfit("jobs", env=TERMINAL).stdout
    assert dataset in rightfit("data", "ls", env=TERMINAL).stdout
    env = settings.to_env()
    key = document(rightfit("keys", "create", "alice-of-the-long-name", "--name", LONG, "--json", env=env))["key"]
    listed = rightfit("keys", "list", env=env | TERMINAL).stdout
    assert key.split("_")[1] in listed
    assert max(map(len, listed.splitlines())) <= 80


def test_nothing_is_cut_or_folded_on_a_pipe(rightfit: Command, spec: str, dataset: str) -> None:
    rightfit("train", spec, "--set", f"name={LONG}")
    assert len(rightfit("jobs", env=PIPE).stdout.splitlines()) == 2
    assert LONG in rightfit("jobs", env=PIPE).stdout


def test_a_failed_data_set_shows_its_error(rightfit: Command, dataset: str) -> None:
    own, *built_in = rightfit("data", "ls", env=PIPE).stdout.splitlines()[1:]
    assert own.startswith(dataset)
    assert own.rstrip().endswith("cat/1.png is no picture")
    assert "downloaded by the worker" not in "".join(built_in)
