"""The zip that the client makes of a folder: links, litter, empty folders and files that cannot be sent."""

import io
import os
import zipfile
from pathlib import Path

import pytest

from service.client.upload import archive
from tests.pictures import encoded, folders, stripes


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def packed(folder: Path) -> tuple[dict[str, bytes], list[str]]:
    """The members of the zip of a folder, and the remarks."""
    remarks: list[str] = []
    with archive(folder, remarks.append) as source:
        zipped = zipfile.ZipFile(io.BytesIO(source.file.read()))
        return {name: zipped.read(name) for name in zipped.namelist()}, remarks


def test_links_to_folders_and_files_are_followed(tmp_path: Path) -> None:
    other = write(tmp_path / "store", {"1.png": b"one", "deep/2.png": b"two"})
    root = write(tmp_path / "pets", {"cat/0.png": b"zero"})
    (root / "dog").symlink_to(other)
    (root / "cat" / "1.png").symlink_to("../../store/1.png")
    (tmp_path / "shortcut").symlink_to(root)
    expected = {"cat/0.png": b"zero", "cat/1.png": b"one", "dog/1.png": b"one", "dog/deep/2.png": b"two"}
    assert packed(root) == (expected, [])
    with archive(tmp_path / "shortcut", print) as source:
        assert source.name == "shortcut"


def test_links_around_themselves_are_left_out_by_name(tmp_path: Path) -> None:
    root = write(tmp_path / "pets", {"cat/0.png": b"x", "dog/0.png": b"y"})
    (root / "cat" / "up").symlink_to(root)
    (root / "dog" / "cat").symlink_to(root / "cat")
    (root / "dog" / "self").symlink_to("self")
    members, remarks = packed(root)
    assert set(members) == {"cat/0.png", "dog/0.png", "dog/cat/0.png"}
    assert any("cat/up" in remark and "links to a folder that contains them" in remark for remark in remarks)
    assert any("dog/self" in remark for remark in remarks)


def test_broken_links_are_left_out_by_name(tmp_path: Path) -> None:
    root = write(tmp_path / "pets", {"cat/0.png": b"x"})
    for number in range(25):
        (root / "cat" / f"gone{number:02}.png").symlink_to("../.git/annex/objects/gone")
    members, remarks = packed(root)
    assert set(members) == {"cat/0.png"}
    assert len(remarks) == 1
    assert "25 links" in remarks[0]
    assert "cat/gone19.png and 5 more" in remarks[0]
    (root / "cat" / "0.png").unlink()
    with pytest.raises(ValueError, match=r"no files in it.*cat/gone00\.png"):
        packed(root)


def test_hidden_and_special_files_are_left_out_by_name(tmp_path: Path) -> None:
    root = write(tmp_path / "pets", {"cat/0.png": b"x", ".git/config": b"x", "cat/.DS_Store": b"x"})
    os.mkfifo(root / "cat" / "pipe")
    members, remarks = packed(root)
    assert set(members) == {"cat/0.png"}
    assert any("2 hidden" in remark and ".git" in remark and "cat/.DS_Store" in remark for remark in remarks)
    assert any("cat/pipe" in remark for remark in remarks)


def test_what_systems_make_is_left_out_by_name(tmp_path: Path) -> None:
    litter = ("cat/Thumbs.db", "cat/0.png:Zone.Identifier", "@eaDir/cat/0.png", "__MACOSX/cat/0.png", "dog/Icon\r")
    root = write(tmp_path / "pets", {"cat/0.png": b"x", "dog/notes.txt": b"x"} | dict.fromkeys(litter, b"x"))
    members, (remark,) = packed(root)
    assert set(members) == {"cat/0.png", "dog/notes.txt"}
    assert remark.startswith("left out 5 files or folders that systems or tools made: ")
    assert all(name in remark for name in ("cat/Thumbs.db", "@eaDir", "__MACOSX", r"dog/Icon\r"))


def test_empty_folders_are_sent_as_folders(tmp_path: Path) -> None:
    root = write(tmp_path / "pets", {"cat/0.png": b"x", "emu/.hidden": b"x"})
    (root / "fox" / "deep").mkdir(parents=True)
    assert set(packed(root)[0]) == {"cat/0.png", "emu/", "fox/deep/"}


def test_names_that_are_not_utf8_are_refused_and_named(tmp_path: Path) -> None:
    root = write(tmp_path / "pets", {"cat/0.png": b"x"})
    for name in (b"K\xe4tzchen.png", b"H\xfcndchen.png"):
        (Path(os.fsdecode(os.fsencode(root) + b"/cat/" + name))).write_bytes(b"x")
    with pytest.raises(ValueError, match="UTF-8") as refused:
        packed(root)
    assert r"cat/K\xe4tzchen.png" in str(refused.value)
    assert r"cat/H\xfcndchen.png" in str(refused.value)


def test_the_name_of_a_folder_is_kept_as_far_as_it_is_text(tmp_path: Path) -> None:
    for name, shown in ((b"K\xe4tzchen", r"K\xe4tzchen"), ("a\u00a0b 👩\u200d🔬".encode(), "a\u00a0b 👩\u200d🔬")):
        root = write(Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)), {"cat/0.png": b"x"})
        with archive(root, print) as source:
            assert source.name == shown


def test_unreadable_files_are_refused_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write(tmp_path / "pets", {"cat/0.png": b"x", "cat/1.png": b"x"})
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != "1.png")  # root may read every file
    with pytest.raises(ValueError, match=r"no permission to read cat/1\.png"):
        packed(root)


def test_a_whole_folder_of_pictures_is_sent(tmp_path: Path) -> None:
    files = folders(each=2) | {"notes.pdf": b"the service judges it", "rows/ünï.png": encoded(stripes("rows", 9))}
    assert packed(write(tmp_path / "pets", files)) == (files, [])
