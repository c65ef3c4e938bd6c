import hashlib
from pathlib import Path

import pytest

from service.core.errors import SettingsError, StorageError
from service.core.storage import LocalStorage, open_storage


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    return LocalStorage(tmp_path / "storage")


def written(tmp_path: Path, content: bytes) -> Path:
    source = tmp_path / "source.bin"
    source.write_bytes(content)
    return source


def test_what_is_put_comes_back_with_its_size_and_sum(storage: LocalStorage, tmp_path: Path) -> None:
    content = b"weights" * 400_000
    artifact = storage.put("jobs/j/a1/best_model.pth", written(tmp_path, content))
    assert (artifact.name, artifact.bytes) == ("best_model.pth", len(content))
    assert artifact.sha256 == hashlib.sha256(content).hexdigest()
    with storage.open(artifact.key) as file:
        assert file.read() == content


def test_nothing_partial_is_left_when_the_source_cannot_be_read(storage: LocalStorage, tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        storage.put("jobs/j/a1/x.bin", tmp_path / "missing")
    assert not [path for path in storage.root.rglob("*") if path.is_file()]


def test_a_deleted_prefix_is_gone_and_others_stay(storage: LocalStorage, tmp_path: Path) -> None:
    source = written(tmp_path, b"x")
    gone, stays = storage.put("jobs/one/a1/x", source), storage.put("jobs/two/a1/x", source)
    storage.delete("jobs/one")
    storage.delete("jobs/never-there")
    with pytest.raises(StorageError):
        storage.open(gone.key)
    storage.open(stays.key).close()


@pytest.mark.parametrize("key", ["../outside", "a/../../outside", "/etc/passwd", ""])
def test_a_key_cannot_leave_the_storage(storage: LocalStorage, key: str) -> None:
    with pytest.raises(StorageError, match="not a storage key"):
        storage.open(key)


def test_a_storage_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="cannot be written"):
        LocalStorage(tmp_path / "file").check()


def test_an_unknown_kind_of_storage_is_refused() -> None:
    with pytest.raises(SettingsError, match="allowed"):
        open_storage("ftp://somewhere")
