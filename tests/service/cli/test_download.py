"""`rightfit download` and `rightfit export`: where the file goes, and what is never overwritten."""

import os
import zipfile
from pathlib import Path

import pytest

from tests.service.cli.commands import Command, document, train_next_job
from tests.service.live import Live

NAME = "best_model.pth"


@pytest.fixture
def job(rightfit: Command, spec: str, live: Live, tmp_path: Path) -> str:
    job_id = str(document(rightfit("train", spec, "--json"))["id"])
    train_next_job(live, tmp_path)
    return job_id


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "out"
    made.mkdir()
    return made


def test_only_force_replaces_a_different_file(rightfit: Command, job: str, folder: Path) -> None:
    target = folder / "m.pth"
    target.write_text("thesis")
    refused = rightfit("download", job, "-o", str(target))
    assert (refused.exit_code, "--force" in refused.stderr, target.read_text()) == (1, True, "thesis")
    assert rightfit("download", job, "-o", str(target), "--force").exit_code == 0
    assert target.read_bytes() == b"weights"


def test_the_same_file_is_not_fetched_again(rightfit: Command, job: str, folder: Path, live: Live) -> None:
    first = document(rightfit("download", job, "-o", str(folder), "--json"))
    again = rightfit("download", job, "-o", f"{folder}/")
    assert (again.exit_code, "is there already" in again.stdout) == (0, True)
    assert document(rightfit("download", job, "-o", str(folder), "--json")) == first
    assert len(live.network.of(NAME)) == 1


@pytest.mark.parametrize("force", [(), ("--force",)])
def test_only_regular_files_are_replaced(rightfit: Command, job: str, folder: Path, force: tuple[str, ...]) -> None:
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


def test_a_missing_folder_is_an_error(rightfit: Command, job: str, folder: Path) -> None:
    for wrong in (f"{folder}/no/", f"{folder}/no/m.pth"):
        failed = rightfit("download", job, "-o", wrong)
        assert (failed.exit_code, "not an existing folder" in failed.stderr) == (1, True)
    assert rightfit("download", job, "-o", "-").exit_code == 2


def test_export_writes_one_zip_and_replaces_nothing(
    rightfit: Command, job: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    assert rightfit("export", job).exit_code == 0
    target = folder / f"{job}.zip"
    assert {NAME, "README.txt"} <= set(zipfile.ZipFile(target).namelist())
    refused = rightfit("export", job, str(folder))
    assert (refused.exit_code, "--force" in refused.stderr) == (1, True)
    assert document(rightfit("export", job, "--force", "--json")) == {
        "path": target.name,
        "bytes": target.stat().st_size,
    }
    assert rightfit("export", job, "other.zip").exit_code == 0
    assert rightfit("export", job, "no/other.zip").exit_code == 1
    assert rightfit("export", job, "-").exit_code == 2
    assert sorted(path.name for path in folder.iterdir()) == sorted([target.name, "other.zip"])


def test_export_of_a_job_without_files_is_refused(rightfit: Command, spec: str, folder: Path) -> None:
    waiting = str(document(rightfit("train", spec, "--json"))["id"])
    refused = rightfit("export", waiting, str(folder))
    assert (refused.exit_code, "published no files" in refused.stderr) == (3, True)
    assert not list(folder.iterdir())
