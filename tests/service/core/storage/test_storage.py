"""One suite over both storages: a folder, and a bucket on a server that speaks S3."""

import errno
import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from service.core.errors import ObjectMissing, SettingsError, StorageError
from service.core.storage import LocalStorage, Storage, open_storage
from tests.servers import ROOT, S3_BUCKET

CONTENT = b"weights" * 1_200_000  # more than one part of an upload


@pytest.fixture(params=["folder", "s3"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    if request.param == "folder":
        return open_storage(str(tmp_path / "storage"))
    request.getfixturevalue("s3_environment")
    return open_storage(f"s3://{S3_BUCKET}/{uuid4().hex}/deep/")


def written(tmp_path: Path, content: bytes) -> Path:
    source = tmp_path / "source.bin"
    source.write_bytes(content)
    return source


def test_an_object_comes_back_with_its_size_and_sum(storage: Storage, tmp_path: Path) -> None:
    artifact = storage.put("jobs/j/a1/best_model.pth", written(tmp_path, CONTENT))
    assert (artifact.name, artifact.bytes) == ("best_model.pth", len(CONTENT))
    assert artifact.sha256 == hashlib.sha256(CONTENT).hexdigest()
    with storage.open(artifact.key) as file:
        assert file.read() == CONTENT


def test_an_object_can_be_read_from_an_offset(storage: Storage, tmp_path: Path) -> None:
    artifact = storage.put("jobs/j/a1/x", written(tmp_path, CONTENT))
    with storage.open(artifact.key) as file:
        file.seek(5_000_000)
        assert file.read(1000) == CONTENT[5_000_000:5_001_000]
        assert file.seek(0, 2) == len(CONTENT)
        assert file.read() == b""


def test_an_object_is_copied_whole_or_not_at_all(storage: Storage, tmp_path: Path) -> None:
    artifact = storage.put("jobs/j/a1/last.pt", written(tmp_path, CONTENT))
    storage.get(artifact, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == CONTENT
    storage.put("jobs/j/a1/last.pt", written(tmp_path, CONTENT[:-1]))
    with pytest.raises(ObjectMissing, match="damaged"):
        storage.get(artifact, tmp_path / "damaged")
    storage.delete("jobs/j/a1/last.pt")
    with pytest.raises(ObjectMissing, match="not"):
        storage.get(artifact, tmp_path / "gone")
    assert {path.name for path in tmp_path.iterdir()} - {"storage"} == {"copy", "source.bin"}


def test_an_object_is_replaced(storage: Storage, tmp_path: Path) -> None:
    storage.put("jobs/j/a1/x", written(tmp_path, b"old"))
    storage.put("jobs/j/a1/x", written(tmp_path, b"new"))
    with storage.open("jobs/j/a1/x") as file:
        assert file.read() == b"new"


def test_nothing_partial_is_left_when_the_source_cannot_be_read(storage: Storage, tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        storage.put("jobs/j/a1/x.bin", tmp_path / "missing")
    with pytest.raises(ObjectMissing):
        storage.open("jobs/j/a1/x.bin")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


FILL = """
import resource, signal, sys
from pathlib import Path
from service.core.errors import StorageError
from service.core.storage import LocalStorage
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
try:
    LocalStorage(Path(sys.argv[1])).put("jobs/j/a1/best_model.pth", Path(sys.argv[2]))
except StorageError as error:
    print(error)
"""


def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path) -> None:
    """A limit on the size of files fails a write in its middle as a full disk does."""
    assert len(CONTENT) > 1 << 20
    storage = LocalStorage(tmp_path / "storage")
    before = storage.put("jobs/j/a1/best_model.pth", written(tmp_path, b"the one before"))
    command = [sys.executable, "-c", FILL, str(storage.root), str(written(tmp_path, CONTENT))]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "could not be stored" in said
    assert [path.name for path in storage.root.rglob("*") if path.is_file()] == ["best_model.pth"]
    storage.get(before, tmp_path / "copy")


def test_a_deleted_prefix_is_gone_and_others_stay(storage: Storage, tmp_path: Path) -> None:
    source = written(tmp_path, b"x")
    gone, stays = storage.put("jobs/one/a1/x", source), storage.put("jobs/two/a1/x", source)
    alike = storage.put("jobs/one-more/a1/x", source)
    storage.delete("jobs/one")
    storage.delete("jobs/never-there")
    with pytest.raises(ObjectMissing):
        storage.open(gone.key)
    for kept in (stays, alike):
        storage.open(kept.key).close()
    storage.delete(stays.key)
    with pytest.raises(ObjectMissing):
        storage.open(stays.key)


def test_a_failed_deletion_is_raised_after_deleting_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage, source, real = LocalStorage(tmp_path / "storage"), written(tmp_path, b"x"), os.unlink
    for name in ("first", "held", "last"):
        storage.put(f"jobs/j/a1/{name}", source)

    def unlink(path: Any, **given: Any) -> None:
        if Path(path).name == "held":
            raise PermissionError(errno.EPERM, "Operation not permitted")
        real(path, **given)

    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", unlink)
        with pytest.raises(StorageError, match="jobs/j cannot be deleted: Operation not permitted"):
            storage.delete("jobs/j")
    assert [stored.key for stored in storage.objects("jobs")] == ["jobs/j/a1/held"]
    storage.delete("jobs/j")
    assert list(storage.names("jobs")) == []


@pytest.mark.parametrize("key", ["../outside", "a/../../outside", "/etc/passwd", ""])
def test_a_key_cannot_leave_the_storage(storage: Storage, key: str) -> None:
    with pytest.raises(StorageError, match="not a storage key"):
        storage.open(key)


def test_the_check_of_a_writable_storage_passes(storage: Storage) -> None:
    storage.check()


def test_a_folder_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="cannot be written"):
        LocalStorage(tmp_path / "file").check()


def test_a_bucket_that_is_not_there_says_so(s3_environment: None) -> None:
    with pytest.raises(StorageError, match="cannot be written"):
        open_storage("s3://no-such-bucket").check()


def test_an_empty_address_of_s3_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "")
    with pytest.raises(SettingsError, match="AWS_ENDPOINT_URL is empty"):
        open_storage("s3://bucket")


@pytest.mark.parametrize("url", ["ftp://somewhere", "s3://", "s3://UPPER/x"])
def test_an_unknown_kind_of_storage_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="allowed"):
        open_storage(url)
