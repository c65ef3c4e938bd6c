"""Archives and arrays become a pack of pixels, labels and contents; unusable ones are refused with the reason."""

import io
import json
import os
import struct
import subprocess
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from service.core.errors import InvalidData
from service.core.records.dataset import INDEX, PIXELS, Contents, Size
from tests.pictures import arrays, encoded, folders, stripes, tarred, zipped
from tests.servers import ROOT
from workers.datasets.ingest import members
from workers.datasets.ingest.read import read

MOST = 100 << 20  # bytes
JUNK_FILES = ("my set/.DS_Store", "__MACOSX/my set/._a", "my set/rows/.ipynb_checkpoints/a", "my set/rows/Thumbs.db")
MODES_OF_FORMATS = {
    "BMP": ["RGB"],
    "GIF": ["P"],
    "JPEG": ["RGB", "CMYK"],
    "PNG": ["RGBA", "1", "LA", "I;16"],
    "PPM": ["RGB"],
    "TIFF": ["L"],
    "WEBP": ["RGB"],
}
SPECIAL_FILES = {
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.LNKTYPE: "a hard link",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.FIFOTYPE: "a pipe",
}


class Read:
    """A data set that was read, and its images as the pack has them."""

    def __init__(self, folder: Path, contents: Contents) -> None:
        self.contents = contents
        self.pixels = np.fromfile(folder / PIXELS, np.uint8)
        with np.load(folder / INDEX) as index:
            self.index = {name: index[name] for name in index.files}

    def image(self, i: int) -> NDArray[np.uint8]:
        height, width, channels = self.index["heights"][i], self.index["widths"][i], self.contents.shape[0]
        start = self.index["offsets"][i]
        return self.pixels[start : start + height * width * channels].reshape(height, width, channels)


Reader = Callable[..., Read]


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    def of(data: bytes, kind: str = "zip", most: int = MOST) -> Read:
        source, folder = tmp_path / "upload", tmp_path / "pack"
        source.write_bytes(data)
        folder.mkdir(exist_ok=True)
        return Read(folder, read(kind, source, folder, most))

    return of


def refusal(reader: Reader, data: bytes, kind: str = "zip", most: int = MOST) -> str:
    with pytest.raises(InvalidData) as raised:
        reader(data, kind, most)
    return str(raised.value)


def test_class_folders_become_classes_and_every_pixel_is_kept(reader: Reader) -> None:
    dataset = reader(zipped(folders(each=4)))
    assert dataset.contents.classes == ("checks", "columns", "rows")
    assert dataset.contents.samples_per_class == (4, 4, 4)
    assert (dataset.contents.shape, dataset.contents.is_uniform) == ((1, 16, 16), True)
    assert dataset.contents.sizes == (Size(16, 16, 12),)
    assert dataset.contents.modes == {"L": 12}
    assert dataset.contents.parts is None
    assert dataset.index["labels"].tolist() == [0] * 4 + [1] * 4 + [2] * 4
    for i, (kind, number) in enumerate((k, n) for k in ("checks", "columns", "rows") for n in range(4)):
        assert (dataset.image(i)[..., 0] == stripes(kind, number)).all()


@pytest.mark.parametrize(("kind", "packed"), [("tar", False), ("tar.gz", True)])
def test_a_tar_is_read_as_a_zip_is(reader: Reader, kind: str, packed: bool) -> None:
    dataset = reader(tarred(folders(each=3), packed=packed), kind)
    assert dataset.contents.samples_per_class == (3, 3, 3)
    assert (dataset.image(0)[..., 0] == stripes("rows", 0)).all()


def test_a_wrapping_folder_and_junk_files_are_skipped(reader: Reader) -> None:
    files = {f"my set/{name}": data for name, data in folders(each=3).items()}
    files |= dict.fromkeys(JUNK_FILES, b"x")
    contents = reader(zipped(files)).contents
    assert (contents.classes, contents.samples) == (("checks", "columns", "rows"), 9)
    assert contents.warnings == ()


def test_notes_beside_the_class_folders_are_skipped_and_named(reader: Reader) -> None:
    contents = reader(zipped(folders(each=3) | {"readme.txt": b"hello"})).contents
    assert contents.samples == 9
    assert any("readme.txt" in warning for warning in contents.warnings)


def test_class_folders_without_images_are_named(reader: Reader) -> None:
    dataset = reader(zipped({"set/": b"", "set/circles/": b""} | {f"set/{k}": v for k, v in folders(each=3).items()}))
    assert dataset.contents.classes == ("checks", "columns", "rows")
    assert dataset.contents.warnings == ("1 class folders have no images, such as circles: they are no classes.",)


def test_train_val_and_test_folders_are_the_split(reader: Reader) -> None:
    files = {f"train/{name}": data for name, data in folders(each=4).items()}
    files |= {f"Val/{name}": data for name, data in folders(each=2, first=10).items()}
    files |= {f"test/{name}": data for name, data in folders(each=1, first=20).items()}
    dataset = reader(zipped(files))
    assert dataset.contents.parts == {"train": 12, "validation": 6, "test": 3}
    assert dataset.contents.classes == ("checks", "columns", "rows")
    assert sorted(dataset.index["parts"].tolist()) == [0] * 12 + [1] * 6 + [2] * 3


def test_a_class_that_is_only_validated_on_is_refused(reader: Reader) -> None:
    files = {f"train/{name}": data for name, data in folders(each=2).items()}
    files["val/circles/1.png"] = encoded(stripes("rows", 9))
    assert "'circles'" in refusal(reader, zipped(files))


def test_gray_images_among_coloured_ones_get_three_channels(reader: Reader) -> None:
    colour = np.stack([stripes("rows", 7), stripes("rows", 8), stripes("rows", 9)], axis=2)
    dataset = reader(zipped(folders(each=2) | {"rows/colour.png": encoded(colour)}))
    assert dataset.contents.shape == (3, 16, 16)
    assert dataset.contents.modes == {"L": 6, "RGB": 1}
    assert (dataset.image(0) == stripes("checks", 0)[..., None]).all()
    assert (dataset.image(6) == colour).all()


def test_images_of_several_sizes_keep_them_and_get_a_proposal(reader: Reader) -> None:
    files = folders(each=3) | {f"rows/big{i}.png": encoded(stripes("rows", i, 40)) for i in range(2)}
    dataset = reader(zipped(files))
    assert (dataset.contents.is_uniform, dataset.contents.shape) == (False, (1, 16, 16))
    assert dataset.contents.sizes == (Size(16, 16, 9), Size(40, 40, 2))
    assert any("16x16" in warning for warning in dataset.contents.warnings)
    assert (dataset.image(10)[..., 0] == stripes("rows", 1, 40)).all()


def test_what_is_larger_than_any_job_can_use_is_made_smaller(reader: Reader) -> None:
    large = np.zeros((1024, 2048), np.uint8)
    large[:, 1024:] = 255
    dataset = reader(zipped(folders(each=2) | {"rows/large.png": encoded(large)}))
    i = dataset.index["heights"].argmax()
    image = dataset.image(int(i))[..., 0]
    assert image.shape == (512, 1024)
    assert (image[:, :500].max(), image[:, 520:].min()) == (0, 255)


def picture(mode: str, format: str, **options: Any) -> bytes:  # noqa: A002
    buffer = io.BytesIO()
    Image.new(mode, (4, 6)).save(buffer, format, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(("format", "mode"), [(f, mode) for f, modes in MODES_OF_FORMATS.items() for mode in modes])
def test_every_usual_format_and_mode_is_read(reader: Reader, format: str, mode: str) -> None:  # noqa: A002
    data = picture(mode, format)
    dataset = reader(zipped({"a/1": data, "b/1": data}))
    assert dataset.contents.shape[1:] == (6, 4)


def test_sixteen_bits_become_eight_and_transparency_black(reader: Reader) -> None:
    deep = np.array([[0, 256, 65535]], np.uint16)
    veiled = np.zeros((1, 3, 4), np.uint8)
    veiled[0, :, 0], veiled[0, :, 3] = 200, [0, 255, 0]
    dataset = reader(zipped({"a/deep.png": encoded(deep), "b/veiled.png": encoded(veiled)}))
    assert dataset.image(0)[0, :, 0].tolist() == [0, 1, 255]
    assert dataset.image(1)[0, :, 0].tolist() == [0, 200, 0]


def test_a_photograph_is_turned_upright(reader: Reader) -> None:
    buffer, exif = io.BytesIO(), Image.Exif()
    exif[274] = 6  # orientation: the camera was held upright
    Image.new("L", (20, 10)).save(buffer, "JPEG", exif=exif)
    dataset = reader(zipped({"a/1.jpg": buffer.getvalue(), "b/1.jpg": buffer.getvalue()}))
    assert dataset.contents.shape == (1, 20, 10)


def test_arrays_are_read_with_their_labels(reader: Reader) -> None:
    x = np.stack([stripes("rows", i) for i in range(6)])
    dataset = reader(arrays(x, [3, 3, 10, 10, 5, 5]), "npz")
    assert dataset.contents.classes == ("3", "5", "10")
    assert dataset.contents.samples_per_class == (2, 2, 2)
    assert dataset.index["labels"].tolist() == [0, 0, 2, 2, 1, 1]
    assert (dataset.image(4)[..., 0] == x[4]).all()
    assert any("label 0, 1, 2, 4" in warning for warning in dataset.contents.warnings)
    assert reader(arrays(np.zeros((4, 5, 6, 3), np.uint8), [0, 1, 0, 1]), "npz").contents.shape == (3, 5, 6)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (arrays(np.zeros((4, 5, 6), np.float32), [0, 1, 0, 1]), "float32"),
        (arrays(np.zeros((4, 5), np.uint8), [0, 1, 0, 1]), "[4, 5]"),
        (arrays(np.zeros((4, 5, 6, 2), np.uint8), [0, 1, 0, 1]), "1 or 3 channels"),
        (arrays(np.zeros((4, 5, 6), np.uint8), [0, 1, 0]), "4 images and y 3 labels"),
        (arrays(np.zeros((4, 5, 6), np.uint8), [0.0, 1, 0, 1]), "float64"),
        (arrays(np.zeros((4, 5, 6), np.uint8), ["a", "b", "a", "b"]), "y is"),
        (arrays(np.zeros((4, 5, 6), np.uint8), [1, 1, 1, 1]), "one class"),
        (arrays(np.zeros((0, 5, 6), np.uint8), np.zeros(0, np.int64)), "at least one"),
        (arrays(np.zeros((4, 5, 600), np.uint8), [0, 1, 0, 1]), "at most 512"),
        (arrays(np.asfortranarray(np.zeros((4, 5, 6), np.uint8)), [0, 1, 0, 1]), "Fortran"),
        (zipped({"x.npy": b"no array"}), "y.npy is not in the npz"),
        (zipped({"x.npy": b"no array", "y.npy": b"nor this"}), "not a numpy array"),
        (b"nothing of the kind", "not a whole npz"),
    ],
)
def test_arrays_that_are_no_images_are_refused_with_the_allowed(reader: Reader, data: bytes, words: str) -> None:
    assert words in refusal(reader, data, "npz")


def test_copies_within_and_across_classes_are_named(reader: Reader) -> None:
    files = folders(each=4)
    files["rows/copy.png"] = files["rows/000.png"]
    files["columns/wrong.png"] = files["rows/001.png"]
    nearly = stripes("checks", 2).copy()
    nearly[0, 0] ^= 8
    files["checks/nearly.png"] = encoded(nearly)
    dataset = reader(zipped(files))
    warnings = " ".join(dataset.contents.warnings)
    assert "exact duplicates: 2 images" in warnings
    assert "near duplicates: 1 image, such as checks/nearly.png of checks/002.png" in warnings
    assert "rows/001.png" in warnings
    assert "labels is wrong" in warnings
    assert dataset.contents.copies == {2: 3}


def test_copies_on_two_sides_of_a_given_split_are_named(reader: Reader) -> None:
    files = {f"train/{name}": data for name, data in folders(each=3).items()}
    files |= {f"val/{name}": data for name, data in folders(each=2, first=2).items()}
    warnings = " ".join(reader(zipped(files)).contents.warnings)
    assert "3 exact duplicates lie on two sides of the split" in warnings
    assert "train and validation" in warnings


def test_pictures_that_only_look_alike_to_a_hash_are_no_copies(reader: Reader) -> None:
    plain = {f"a/{i}.png": encoded(np.full((16, 16), 20 * i, np.uint8)) for i in range(8)}
    contents = reader(zipped(plain | {f"b/{i}.png": encoded(stripes("rows", i)) for i in range(8)})).contents
    assert contents.copies == {}
    assert any("of one colour throughout: 8 images" in warning for warning in contents.warnings)


def test_uneven_classes_are_named_with_the_cure(reader: Reader) -> None:
    files = folders(each=1) | {f"rows/{i}.png": encoded(stripes("rows", 50 + i)) for i in range(10)}
    assert any("class_weights" in warning for warning in reader(zipped(files)).contents.warnings)


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
    "a text among pictures": (zipped(folders(each=3) | {"rows/notes.txt": b"hello"}), "'rows/notes.txt': not an image"),
    "a vector picture": (zipped(folders(each=3) | {"rows/a.svg": b"<svg/>"}), "allowed: PNG, JPEG"),
    "a picture above the classes": (zipped(folders() | {"a.png": encoded(stripes("rows", 1))}), "'a.png' lies in"),
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
    "pixels of 32 bits": (zipped(folders() | {"rows/x.tif": picture("F", "TIFF")}), "'rows/x.tif': its pixels have 32"),
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


def test_notes_beside_the_wrapping_folder_are_ignored(reader: Reader) -> None:
    files = {f"data/{name}": content for name, content in folders(each=3).items()}
    contents = reader(zipped(files | {"README.txt": b"hello", "data/rows/checkpoints/last.pt": b"x"})).contents
    assert (contents.classes, contents.samples) == (("checks", "columns", "rows"), 9)


def test_pictures_that_differ_in_colour_alone_are_no_copies(reader: Reader) -> None:
    texture = np.random.default_rng(1).integers(0, 100, (16, 16), np.uint8)
    black = np.zeros_like(texture)
    red = np.stack([texture * 2, black, black], axis=2)
    green = np.stack([black, (texture * 1.02).astype(np.uint8), black], axis=2)
    files = {
        "red/1.png": encoded(red),
        "green/1.png": encoded(green),
        "red/2.png": encoded(np.full((9, 9, 3), [9, 1, 2], np.uint8)),
    }
    contents = reader(zipped(files)).contents
    assert contents.copies == {}
    assert any("of one colour throughout: 1 image," in warning for warning in contents.warnings)


def test_a_tar_bomb_is_refused_before_it_is_unpacked(reader: Reader) -> None:
    assert "bomb" in refusal(reader, tarred({f"notes{i}": b"\0" * (40 << 20) for i in range(4)}), "tar.gz", 1 << 40)
    assert "unpacks to more than" in refusal(reader, tarred(folders(each=3), packed=False), "tar", 2000)


def test_more_than_may_be_kept_is_refused(reader: Reader) -> None:
    assert "more than 5,000 bytes" in refusal(reader, zipped(folders(each=10)), most=5000)


def test_a_picture_above_the_byte_limit_is_refused(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(members, "MOST_FILE_BYTES", 1000)
    noise = {"rows/noise.png": os.urandom(1001)}
    assert "'rows/noise.png' has 1,001 bytes unpacked; at most 1,000" in refusal(reader, zipped(folders() | noise))
    assert "'rows/noise.png' has 1,001 bytes" in refusal(reader, tarred(noise, packed=False), "tar")


def test_too_many_files_are_refused(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(members, "MOST_MEMBERS", 20)
    assert "too many files; at most 20" in refusal(reader, zipped(folders(each=10)))


def test_a_bad_picture_in_a_tar_is_named_too(reader: Reader) -> None:
    assert "'rows/x.png'" in refusal(reader, tarred(folders(each=3) | {"rows/x.png": b"x"}), "tar.gz")


def read_in_process(
    folder: Path, data: bytes, kind: str, *, most: int = MOST, seconds: int = 60
) -> tuple[int, dict[str, Any]]:
    (folder / "upload").write_bytes(data)
    (folder / "pack").mkdir(exist_ok=True)
    words = [kind, str(folder / "upload"), str(folder / "pack"), str(most), str(seconds)]
    done = subprocess.run(
        [sys.executable, "-m", "workers.datasets.ingest.read", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, json.loads(done.stdout.splitlines()[-1]) if done.stdout else {}


def test_the_reader_prints_its_contents_or_error_in_one_line(tmp_path: Path) -> None:
    code, answer = read_in_process(tmp_path, zipped(folders(each=3)), "zip")
    assert (code, answer["contents"]["classes"]) == (0, ["checks", "columns", "rows"])
    code, answer = read_in_process(tmp_path, b"no zip", "zip")
    assert code == 0
    assert "not a whole zip" in answer["error"]


def test_the_reader_has_a_limit_of_computing_time(tmp_path: Path) -> None:
    wide = {f"{kind}/{i}.png": encoded(np.zeros((3000, 3000), np.uint8)) for kind in "ab" for i in range(20)}
    code, _ = read_in_process(tmp_path, zipped(wide), "zip", seconds=1)
    assert code < 0, "it was killed"


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
