"""A file is there whole, or not at all."""

import os
import stat
from pathlib import Path

import pytest

from service.core.system import durable_file, move_durably


def test_a_file_appears_once_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "report.json"
    with durable_file(target) as file:
        file.write(b"whole")
        file.flush()
        assert not target.exists()
    assert target.read_bytes() == b"whole"
    assert list(tmp_path.iterdir()) == [target]


def test_a_failed_write_leaves_the_former_file(tmp_path: Path) -> None:
    target = tmp_path / "report.json"
    target.write_bytes(b"former")
    with pytest.raises(TypeError), durable_file(target) as file:
        file.writelines([b"half", "no bytes"])  # type: ignore[list-item]  # it fails after the first
    assert target.read_bytes() == b"former"
    assert list(tmp_path.iterdir()) == [target]


def test_content_and_name_are_on_the_disk_in_this_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    partial, target = tmp_path / "partial", tmp_path / "target"
    partial.write_bytes(b"content")
    synced: list[tuple[bool, bool]] = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append((stat.S_ISDIR(os.fstat(fd).st_mode), target.exists())))
    move_durably(partial, target)
    assert synced == [(False, False), (True, True)], "the file before its name, the folder after it"
