"""Archives that are broken, hostile or too large are refused with the file and the reason."""

import io
import os
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from PIL import Image

from service.core.errors import InvalidData
from tests.pictures import arrays, encoded, folders, stripes, tarred, zipped
from tests.service.core.images.encoded import saved
from tests.workers.datasets.ingest.reading import MOST, Reader, picture, refusal
from workers.datasets.ingest import deadline, growth, members
from workers.datasets.ingest.read import read

SPECIAL_FILES = {
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.LNKTYPE: "a hard link",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.FIFOTYPE: "a pipe",
}


def png_header(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")


BROKEN = {
    "a text": (b"this is no archive", "not a whole zip"),
    "half an archive": (zipped(folders(each=3))[:3000], "not a whole zip"),
    "nothing": (zipped({}), "no images"),
    "no pictures": (zipped({"readme.txt": b"hello"}), "no images"),
    "one class": (zipped({"rows/1.png": encoded(stripes("rows", 1))}), "one class only, 'rows'"),
    "a broken picture": (zipped(folders(each=3) | {"rows/001.png": b"\x89PNG\r\n\x1a\nno"}), "'rows/001.png'"),
    "a truncated picture": (
        zipped(folders(each=3) | {"rows/001.png": folders(each=3)["rows/001.png"][:150]}),
        "'rows/001.png': a broken image",
    ),
    "an empty picture": (zipped(folders(each=3) | {"rows/001.png": b""}), "'rows/001.png': the file is empty"),
    "a vector picture": (zipped(folders(each=3) | {"rows/a.svg": b"<svg/>"}), "allowed: PNG, JPEG"),
    "a picture above the classes": (
        zipped(folders() | {"a.png": encoded(stripes("rows", 1))}),
        "1 image lies in no folder of a class, such as 'a.png'",
    ),
    "nothing to train on": (zipped({f"{p}/{k}": v for k, v in folders().items() for p in ("val", "test")}), "train"),
    "a picture of too many pixels": (zipped(folders() | {"rows/x.png": png_header(60000, 60000)}), "too many pixels"),
    "a picture of many pixels": (zipped(folders(each=3) | {"rows/x.png": png_header(9000, 9000)}), "too many pixels"),
    "a name that leads out": (zipped({"../../evil.png": b"x"} | folders()), "leads out of the archive"),
    "a name with backslashes that leads out": (zipped({"..\\evil.png": b"x"} | folders()), "leads out of the archive"),
    "an absolute name": (zipped({"/etc/evil.png": b"x"} | folders()), "absolute path"),
    "a name on a drive": (zipped({"C:/evil.png": b"x"} | folders()), "absolute path"),
    "a deep name": (zipped({"a/" * 40 + "b.png": b"x"} | folders()), "too deep"),
    "a long name": (zipped({"a" * 2000: b"x"} | folders()), "too long"),
    "a name of control characters": (zipped({"rows/\x1b[2J.png": b"x"} | folders()), "not a readable name"),
    "pixels of 32 bits": (
        zipped(folders() | {"rows/x.tif": picture("F", "TIFF")}),
        "'rows/x.tif': its pixels are float",
    ),
    "a nameless file": (zipped({".": b"x"} | folders()), "has no name"),
    "a bomb": (zipped({"rows/bomb.png": b"\0" * (32 << 20)} | folders()), "'rows/bomb.png' is packed"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_bad_archive_is_refused_with_the_file_and_the_reason(reader: Reader, case: str) -> None:
    data, words = BROKEN[case]
    assert words in refusal(reader, data)


def special(kind: bytes, name: str = "rows/odd.png") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, "/etc/passwd"
    return info


@pytest.mark.parametrize(("kind", "words"), SPECIAL_FILES.items())
def test_a_special_file_in_a_tar_is_refused(reader: Reader, kind: bytes, words: str) -> None:
    message = refusal(reader, tarred(folders(each=3), [special(kind)]), "tar.gz")
    assert "'rows/odd.png'" in message
    assert words in message


def test_a_zip_with_links_secrets_or_twins_is_refused(reader: Reader) -> None:
    buffer = io.BytesIO(zipped(folders(each=3)))
    with zipfile.ZipFile(buffer, "a") as archive:
        link = zipfile.ZipInfo("rows/link.png")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    assert "symbolic link" in refusal(reader, buffer.getvalue())
    locked = bytearray(zipped(folders(each=3)))
    at = locked.rfind(b"PK\x01\x02")
    locked[at + 8] |= 1
    assert "encrypted" in refusal(reader, bytes(locked))
    twice = io.BytesIO(zipped(folders(each=3)))
    with zipfile.ZipFile(twice, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("rows/000.png", b"another")
    assert "twice" in refusal(reader, twice.getvalue())


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (tarred(folders(each=3))[:-200], "tar.gz"),
        (tarred(folders(each=3))[:2000], "tar.gz"),
        (tarred(folders(each=3), packed=False)[:5000], "tar"),
        (tarred(folders(each=3), packed=False)[: 512 * 6], "tar"),
        (b"no tar at all", "tar"),
        (tarred(folders(each=3), packed=False), "tar.gz"),
        (b"", "tar.gz"),
    ],
)
def test_a_tar_that_is_not_whole_is_refused(reader: Reader, data: bytes, kind: str) -> None:
    message = refusal(reader, data, kind)
    assert "not a whole" in message or "cannot be unpacked" in message


def test_a_tar_with_a_broken_header_is_refused(reader: Reader) -> None:
    data = bytearray(tarred(folders(each=5), packed=False))
    at = data.rindex(b"checks/002.png")
    data[at] ^= 1
    assert "a header is broken" in refusal(reader, bytes(data), "tar")


def test_a_tar_bomb_is_refused_before_it_is_unpacked(reader: Reader) -> None:
    assert "bomb" in refusal(reader, tarred({f"notes{i}": b"\0" * (40 << 20) for i in range(4)}), "tar.gz", 1 << 40)
    assert "unpacks to more than" in refusal(reader, tarred(folders(each=3), packed=False), "tar", 2000)


def test_more_than_may_be_kept_is_refused(reader: Reader) -> None:
    assert "more than 5,000 bytes" in refusal(reader, zipped(folders(each=10)), most=5000)


def test_a_picture_above_the_byte_limit_is_refused(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(members, "MOST_FILE_BYTES", 1000)
    noise = {"rows/noise.png": os.urandom(1001)}
    words = "'rows/noise.png': it has 1,001 bytes unpacked; at most 1,000"
    assert words in refusal(reader, zipped(folders() | noise))
    assert words in refusal(reader, tarred(noise, packed=False), "tar")


def test_too_many_files_are_refused(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(members, "MOST_MEMBERS", 20)
    assert "too many files; at most 20" in refusal(reader, zipped(folders(each=10)))


def test_a_bad_picture_in_a_tar_is_named_too(reader: Reader) -> None:
    assert "'rows/x.png'" in refusal(reader, tarred(folders(each=3) | {"rows/x.png": b"x"}), "tar.gz")


SEEDS = {
    "zip": zipped(folders(each=2)),
    "tar": tarred(folders(each=2), packed=False),
    "tar.gz": tarred(folders(each=2)),
    "npz": arrays(np.zeros((4, 5, 6), np.uint8), [0, 1, 0, 1]),
}


@hypothesis_settings(max_examples=200)
@given(
    kind=st.sampled_from(sorted(SEEDS)),
    edits=st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=0, max_size=6)), min_size=1, max_size=6),
    length=st.floats(0.2, 1),
)
def test_any_bytes_are_read_or_refused_with_a_reason(
    tmp_path_factory: pytest.TempPathFactory, kind: str, edits: list[tuple[float, bytes]], length: float
) -> None:
    data = bytearray(SEEDS[kind])
    for place, new in edits:
        at = int(place * (len(data) - 1))
        data[at : at + len(new)] = new
    folder = tmp_path_factory.mktemp("fuzz")
    (folder / "upload").write_bytes(data[: int(length * len(data)) + 1])
    (folder / "pack").mkdir()
    try:
        contents = read(kind, folder / "upload", folder / "pack", MOST)
    except (InvalidData, MemoryError, OSError, RuntimeError, ValueError):
        pass
    else:
        assert contents.samples >= 2
    assert {path.name for path in folder.iterdir()} == {"upload", "pack"}
    assert {path.name for path in (folder / "pack").iterdir()} <= {
        "pixels.bin",
        "index.npz",
        "contents.json",
        "pixels.bin.rgb",
    }


def broken_pictures(count: int) -> bytes:
    return zipped(folders(each=3) | {f"rows/broken{i:03}.png": b"\x89PNG\r\n\x1a\nno" for i in range(count)})


def test_all_broken_pictures_are_named_at_once(reader: Reader) -> None:
    damaged = bytearray(broken_pictures(2))
    damaged[damaged.index(b"checks/000.png") + 60] ^= 1
    message = refusal(reader, bytes(damaged))
    assert message.startswith("3 images cannot be read: 'checks/000.png': it cannot be unpacked: Bad CRC-32")
    assert "'rows/broken000.png': " in message
    assert "'rows/broken001.png': " in message
    assert message.endswith("skip_broken=true reads the rest")


def test_the_first_twenty_broken_pictures_are_named(reader: Reader) -> None:
    message = refusal(reader, broken_pictures(150))
    assert message.startswith("150 images cannot be read: ")
    assert "'rows/broken019.png'" in message
    assert "'rows/broken020.png'" not in message
    assert "; and 130 more. skip_broken=true" in message


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_skip_broken_reads_the_rest_and_names_what_is_left_out(reader: Reader, pack: Callable[..., bytes]) -> None:
    files = {f"train/{name}": data for name, data in folders(each=3).items()}
    files |= {f"val/{name}": data for name, data in folders(each=1, first=9).items()} | {"val/rows/x.jpg": b"<html>"}
    contents = reader(pack(files), "zip" if pack is zipped else "tar.gz", skip_broken=True).contents
    assert contents.parts == {"train": 9, "validation": 3}
    assert contents.warnings[0].startswith("left out: 1 image cannot be read: 'val/rows/x.jpg': not an image")


def test_skip_broken_needs_a_picture_that_can_be_read(reader: Reader) -> None:
    files = {f"{kind}/1.png": b"\x89PNG" for kind in "ab"}
    assert "2 images cannot be read" in refusal(reader, zipped(files), skip_broken=True)


def test_a_class_without_readable_pictures_is_no_class(reader: Reader) -> None:
    contents = reader(zipped(folders(each=3) | {"circles/1.png": b"no"}), skip_broken=True).contents
    assert contents.classes == ("checks", "columns", "rows")
    assert "without a readable image, so not a class: 'circles'." in contents.warnings


def long_picture(width: int, height: int) -> bytes:
    return saved(Image.new("1", (width, height)), "PNG", compress_level=9)


def test_an_npz_bomb_is_refused(reader: Reader) -> None:
    data = arrays(np.zeros((20, 512, 512), np.uint8), [0, 1] * 10)
    assert "'x.npy' is packed" in refusal(reader, data, "npz")
    assert reader(arrays(np.zeros((4, 500, 500), np.uint8), [0, 1] * 2), "npz").contents.samples == 4


def test_few_bytes_do_not_become_many(reader: Reader) -> None:
    files = {f"{label}/{i}.png": long_picture(20_000, 512) for label in "ab" for i in range(2)}
    assert "when they are decoded" in refusal(reader, zipped(files))
    assert reader(zipped({name: files[name] for name in ("a/0.png", "b/0.png")})).contents.samples == 2


def test_what_is_stored_is_bounded_by_what_was_sent(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growth, "FREE_BYTES", 1000)
    monkeypatch.setattr(growth, "MOST_KEPT", 2)
    files = folders(each=3)
    words = "when they are stored"
    flat = {f"{label}/{i}.png": encoded(np.full((99, 99), i, np.uint8)) for label in "ab" for i in range(9)}
    assert words in refusal(reader, zipped(flat))
    noise = {name: encoded(np.frombuffer(os.urandom(4096), np.uint8).reshape(64, 64)) for name in files}
    assert reader(zipped(noise)).contents.samples == 9


def test_a_picture_has_a_limit_of_computing_time(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadline, "PICTURE_SECONDS", 0.01)
    slow = saved(Image.effect_noise((2500, 2500), 50), "PNG", compress_level=1)
    message = refusal(reader, zipped(folders() | {"rows/slow.png": slow}))
    assert "'rows/slow.png': decoding it takes too long; allowed: 0.01 s" in message
