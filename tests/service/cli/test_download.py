"""`rightfit download`: where the file goes, and what is never overwritten."""

import os
from pathlib import Path

import pytest

from tests.service.cli.conftest import Type, told, worked
from tests.service.live import Live

NAME = "best_model.pth"


@pytest.fixture
def job(rightfit: Type, spec: str, live: Live, tmp_path: Path) -> str:
    found = str(told(rightfit("train", spec, "--json"))["id"])
    worked(live, tmp_path)
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "out"
    made.mkdir()
    return made


def test_another_file_is_kept_unless_it_is_to_be_replaced(rightfit: Type, job: str, folder: Path) -> None:
    target = folder / "m.pth"
    target.write_text("thesis")
    refused = rightfit("download", job, "-o", str(target))
    assert (refused.exit_code, "--force" in refused.stderr, target.read_text()) == (1, True, "thesis")
    assert rightfit("download", job, "-o", str(target), "--force").exit_code == 0
    assert target.read_bytes() == b"weights"


def test_the_same_file_is_not_fetched_again(rightfit: Type, job: str, folder: Path, live: Live) -> None:
    first = told(rightfit("download", job, "-o", str(folder), "--json"))
    again = rightfit("download", job, "-o", f"{folder}/")
    assert (again.exit_code, "is there already" in again.stdout) == (0, True)
    assert told(rightfit("download", job, "-o", str(folder), "--json")) == first
    assert len(live.network.of(NAME)) == 1


@pytest.mark.parametrize("force", [(), ("--force",)])
def test_only_regular_files_are_replaced(rightfit: Type, job: str, folder: Path, force: tuple[str, ...]) -> None:
    other = folder / "other"
    other.write_text("thesis")
    (folder / "link").symlink_to(other)
    (folder / "nowhere").symlink_to(folder / "missing")
    os.mkfifo(folder / "pipe")
    (folder / "begun.part").symlink_to(other)
    before = sorted(folder.iterdir())
    for name in ("link", "nowhere", "pipe", "begun"):
        assert rightfit("download", job, "-o", str(folder / name), *force).exit_code == 1, name
    assert (sorted(folder.iterdir()), other.read_text()) == (before, "thesis")
    assert (folder / "link").is_symlink()


def test_a_folder_that_is_not_there_is_told(rightfit: Type, job: str, folder: Path) -> None:
    for wrong in (f"{folder}/no/", f"{folder}/no/m.pth"):
        said = rightfit("download", job, "-o", wrong)
        assert (said.exit_code, "not an existing folder" in said.stderr) == (1, True)
    assert rightfit("download", job, "-o", "-").exit_code == 2
