"""Archives and arrays become a pack of pixels, labels and contents; unusable ones are refused with the reason."""

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from service.core.records.dataset import Size
from tests.pictures import arrays, encoded, folders, stripes, tarred, zipped
from tests.servers import ROOT
from tests.workers.datasets.ingest.reading import MOST, Reader, picture, refusal
from workers.datasets.ingest.read import read

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
    assert contents.warnings == ("ignored: 4 files of systems and tools.",)


def test_notes_beside_the_class_folders_are_skipped_and_named(reader: Reader) -> None:
    contents = reader(zipped(folders(each=3) | {"readme.txt": b"hello"})).contents
    assert contents.samples == 9
    assert any("readme.txt" in warning for warning in contents.warnings)


def test_class_folders_without_images_are_named(reader: Reader) -> None:
    dataset = reader(zipped({"set/": b"", "set/circles/": b""} | {f"set/{k}": v for k, v in folders(each=3).items()}))
    assert dataset.contents.classes == ("checks", "columns", "rows")
    assert dataset.contents.warnings == ("1 class folder has no images, so no class: 'circles'.",)


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


@pytest.mark.parametrize(("format", "mode"), [(f, mode) for f, modes in MODES_OF_FORMATS.items() for mode in modes])
def test_every_usual_format_and_mode_is_read(reader: Reader, format: str, mode: str) -> None:  # noqa: A002
    data = picture(mode, format)
    dataset = reader(zipped({"a/1": data, "b/1": data}))
    assert dataset.contents.shape[1:] == (6, 4)


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
        (arrays(np.zeros((4, 5, 6), np.float32), [0, 1, 0, 1]), "floating-point numbers of 32 bits (float32)"),
        (arrays(np.zeros((4, 5, 6), np.int8), [0, 1, 0, 1]), "signed numbers of 8 bits"),
        (arrays(np.zeros((4, 5, 6), np.uint16), [0, 1, 0, 1]), "unsigned numbers of 16 bits"),
        (arrays(np.zeros((4, 5), np.uint8), [0, 1, 0, 1]), "[4, 5]"),
        (arrays(np.zeros((4, 5, 6, 2), np.uint8), [0, 1, 0, 1]), "1 or 3 channels"),
        (arrays(np.zeros((4, 5, 6), np.uint8), [0, 1, 0]), "4 images and y has 3 labels"),
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
    assert "3 exact duplicates are in two parts of the split" in warnings
    assert "train and validation" in warnings


def test_pictures_that_only_look_alike_to_a_hash_are_no_copies(reader: Reader) -> None:
    plain = {f"a/{i}.png": encoded(np.full((16, 16), 20 * i, np.uint8)) for i in range(8)}
    contents = reader(zipped(plain | {f"b/{i}.png": encoded(stripes("rows", i)) for i in range(8)})).contents
    assert contents.copies == {}
    assert any("of a single colour: 8 images" in warning for warning in contents.warnings)


def test_uneven_classes_are_named_with_the_cure(reader: Reader) -> None:
    files = folders(each=1) | {f"rows/{i}.png": encoded(stripes("rows", 50 + i)) for i in range(10)}
    assert any("class_weights" in warning for warning in reader(zipped(files)).contents.warnings)


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
    assert any("of a single colour: 1 image," in warning for warning in contents.warnings)


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
    sparse = encoded((np.random.default_rng(1).random((3000, 3000)) < 0.01).astype(np.uint8))
    wide = {f"{kind}/{i}.png": sparse for kind in "ab" for i in range(100)}  # some 4 s
    code, _ = read_in_process(tmp_path, zipped(wide), "zip", seconds=1)
    assert code < 0, "it was killed"


@pytest.mark.parametrize("kind", ["zip", "npz"])
def test_reading_reports_how_far_it_is(tmp_path: Path, kind: str) -> None:
    data = (
        zipped({**folders(each=2), "notes.txt": b"no picture"})
        if kind == "zip"
        else arrays(np.zeros((4, 5, 6), np.uint8), [0, 1, 0, 1])
    )
    (tmp_path / "upload").write_bytes(data)
    steps: list[tuple[int, int]] = []
    read(kind, tmp_path / "upload", tmp_path, MOST, report=lambda done, total: steps.append((done, total)))
    images = steps[0][1]
    assert steps == [(done, images) for done in range(images)]
