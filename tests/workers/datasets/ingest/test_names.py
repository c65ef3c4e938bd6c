"""Names of files in archives: encodings, characters that are allowed, and litter that is passed over."""

import io
import struct
import tarfile
import zipfile
import zlib

import pytest

from tests.pictures import encoded, folders, stripes, tarred, zipped
from tests.workers.datasets.ingest.reading import Reader, refusal

CODE_PAGE = "{} names in the archive are not UTF-8 and are read as {}, such as {!r}."


class RawName(zipfile.ZipInfo):
    """An entry whose name is stored in `encoding` without the mark of UTF-8, as by macOS' Finder and old Windows."""

    encoding = "utf-8"

    def _encodeFilenameFlags(self) -> tuple[bytes, int]:  # noqa: N802 - zipfile's
        return self.filename.encode(self.encoding), self.flag_bits & ~0x800


def unmarked(files: dict[str, bytes], encoding: str, extra: bytes = b"") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            info = RawName(name)
            info.encoding, info.extra = encoding, extra
            archive.writestr(info, data)
    return buffer.getvalue()


def pictures(*names: str) -> dict[str, bytes]:
    return {name: encoded(stripes("rows", i)) for i, name in enumerate(names)}


def test_unmarked_names_in_utf8_are_read_as_such(reader: Reader) -> None:
    names = [f"{label}/{i}.png" for label in ("Café", "猫") for i in range(3)]
    contents = reader(unmarked(pictures(*names), "utf-8")).contents
    assert (contents.classes, contents.warnings) == (("Café", "猫"), ())


def test_names_of_a_legacy_code_page_are_read_with_a_warning(reader: Reader) -> None:
    contents = reader(unmarked(pictures("Kätzchen/1.png", "Tür/1.png"), "cp437")).contents
    assert contents.classes == ("Kätzchen", "Tür")
    assert any(w.startswith(CODE_PAGE.format(2, "code page 437", "Kätzchen/1.png")) for w in contents.warnings)


def test_names_of_a_tar_in_a_code_page_are_read_with_a_warning(reader: Reader) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT, encoding="latin-1") as archive:
        for name, data in pictures("Kätzchen/1.png", "Tür/1.png").items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    contents = reader(buffer.getvalue(), "tar").contents
    assert contents.classes == ("Kätzchen", "Tür")
    assert any(w.startswith(CODE_PAGE.format(2, "ISO 8859-1", "Kätzchen/1.png")) for w in contents.warnings)


def test_the_unicode_path_of_info_zip_is_the_name(reader: Reader) -> None:
    files = pictures("?/1.png", "b/1.png")
    name = "猫/1.png".encode()
    body = struct.pack("<BL", 1, zlib.crc32(b"?/1.png")) + name
    contents = reader(unmarked(files, "ascii", struct.pack("<HH", 0x7075, len(body)) + body)).contents
    assert contents.classes == ("b", "猫"), "the sum of the other name differs"


ALLOWED = {
    "a narrow no-break space": "cat/Screenshot 3.45.12\u202fPM.png",
    "a no-break space": "cat/v\u00a013.05.png",
    "an ideographic space": "cat/\u3000.png",
    "a zero-width joiner": "cat/\U0001f469\u200d\U0001f52c.png",
    "a mark of direction": "\u200fقطة/1.png",
    "a colon": "1: cat/1.png",
    "a letter and a colon": "c:cat/1.png",
    "a private character": "cat/\ue000.png",
}


@pytest.mark.parametrize("case", ALLOWED)
def test_every_character_but_controls_is_allowed(reader: Reader, case: str) -> None:
    files = folders(each=3) | pictures(ALLOWED[case])
    contents = reader(zipped(files)).contents
    assert contents.samples == 10
    assert ALLOWED[case].partition("/")[0] in contents.classes
    assert reader(tarred(files), "tar.gz").contents.classes == contents.classes


@pytest.mark.parametrize("name", ["cat/\n.png", "cat\t/1.png", "cat/\x85.png", "cat/\x1b[2J.png"])
def test_a_control_character_is_refused_by_its_name(reader: Reader, name: str) -> None:
    message = refusal(reader, zipped(folders(each=3) | pictures(name)))
    assert "is not a readable name: it has the control character U+00" in message


@pytest.mark.parametrize("name", ["C:\\x.png", "C:/x.png", "/x.png", "\\x.png", "\\\\server\\x.png"])
def test_an_absolute_path_is_refused(reader: Reader, name: str) -> None:
    assert "absolute path" in refusal(reader, zipped(folders(each=3) | {name: b"x"}))


def test_backslashes_divide_folders(reader: Reader) -> None:
    files = {name.replace("/", "\\"): data for name, data in folders(each=3).items()}
    contents = reader(zipped({"rows\\old\\": b"", "empty\\": b""} | files)).contents
    assert contents.classes == ("checks", "columns", "rows")
    assert contents.warnings == ("1 class folder has no images, so no class: 'empty'.",)


def test_the_root_folder_of_a_tar_is_no_class(reader: Reader) -> None:
    root = tarfile.TarInfo(".")
    root.type = tarfile.DIRTYPE
    files = {f"./{name}": data for name, data in folders(each=3).items()}
    assert reader(tarred(files, [root]), "tar.gz").contents.warnings == ()


FILES = "Thumbs.db thumbs.db rows/ehthumbs.db rows/Picasa.ini rows/.picasa.ini rows/Desktop.ini rows/._000.png"
STREAMS = "rows/000.png:Zone.Identifier rows/@eaDir/000.png@SynoEAStream __MACOSX/rows/._000.png rows/.DS_Store .git/x"
LITTER = f"{FILES} {STREAMS}".split()


def test_litter_of_systems_is_passed_over(reader: Reader) -> None:
    litter = dict.fromkeys([*LITTER, "rows/Icon\r", "Icon\r"], b"x")
    for data, kind in ((zipped(folders(each=3) | litter), "zip"), (tarred(folders(each=3) | litter), "tar.gz")):
        contents = reader(data, kind).contents
        assert (contents.samples, contents.warnings) == (
            9,
            (f"ignored: {len(litter)} files of systems and tools.",),
        )


OTHERS = ("rows/notes.txt", "rows/000.xmp", "rows/000.aae", "rows/000.json", "checks/paper.pdf", "rows/a.csv", "rows/x")


def test_files_that_are_no_images_are_passed_over_and_named(reader: Reader) -> None:
    contents = reader(zipped(folders(each=3) | dict.fromkeys(OTHERS, b"%PDF-1.7"))).contents
    assert contents.samples == 9
    (warning,) = contents.warnings
    assert warning.startswith("ignored, because they are not images: 7 files, checks/paper.pdf, rows/000.aae, ")
    assert all(name in warning for name in OTHERS)


def test_the_first_twenty_files_that_are_no_images_are_named(reader: Reader) -> None:
    contents = reader(zipped(folders(each=3) | {f"rows/{i:03}.xmp": b"" for i in range(30)})).contents
    assert contents.warnings[0].endswith("rows/019.xmp and 10 more.")


def test_a_large_file_that_is_no_image_is_passed_over(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.datasets.ingest.members.MOST_FILE_BYTES", 1000)
    film = {"rows/film.mp4": bytes(range(256)) * 10}
    assert reader(zipped(folders(each=3) | film)).contents.samples == 9


def test_an_image_without_an_ending_is_read(reader: Reader) -> None:
    assert reader(zipped(folders(each=3) | pictures("rows/9", "rows/9.dat"))).contents.samples == 11
