"""Label files, in the archive or beside it, say the class, the group and the part of each image."""

import re
import sys

import pytest

from tests.pictures import encoded, stripes, zipped
from tests.workers.datasets.ingest.reading import Reader, refusal
from workers.datasets.ingest.picture_names import PictureNames

FLAT = {f"{i}.png": encoded(stripes("rows", i)) for i in range(6)}
LABELS = "file_name,label\n0.png,cat\n1.png,dog\n2.png,cat\n3.png,dog\n4.png,cat\n5.png,dog\n"
SPELLINGS = {
    "the usual columns": ("labels.csv", LABELS),
    "semicolons and a mark of UTF-8": ("labels.csv", "\ufeff" + LABELS.replace(",", ";")),
    "tabs": ("labels.tsv", LABELS.replace(",", "\t")),
    "lines of Windows, and empty ones": ("Labels.CSV", LABELS.replace("\n", "\r\n") + "\r\n,\r\n"),
    "quotes": ("labels.csv", LABELS.replace("cat", '" cat"')),
    "other columns": ("train_labels.csv", "".join(f"{i},{line}\n" for i, line in enumerate(LABELS.splitlines()))),
    "capitals and spaces": ("labels.csv", LABELS.replace("file_name,label", "File Name,Class Name")),
    "names without endings": ("labels.csv", LABELS.replace(".png", "").replace("file_name", "image_id")),
    "paths": ("metadata.csv", LABELS.replace("\n", "\n./").removesuffix("./")),
    "addresses": ("metadata.csv", LABELS.replace("\n", "\ngs://bucket/").removesuffix("gs://bucket/")),
    "lines of JSON": (
        "metadata.jsonl",
        "".join(f'{{"file_name": "{i}.png", "label": "{["cat", "dog"][i % 2]}", "size": [1]}}\n' for i in range(6)),
    ),
    "a space before quotes": ("labels.csv", LABELS.replace("file_name,label", '"file_name", "label"')),
    "Excel's line of the separator": ("labels.csv", "sep=;\r\n" + LABELS.replace(",", ";").replace("\n", "\r\n")),
    "bars": ("labels.csv", LABELS.replace(",", "|")),
    "commas in a quoted name": (
        "labels.csv",
        LABELS.replace("file_name,label", 'file_name;label;"a,b,c"').replace(",", ";").replace("a;b;c", "a,b,c"),
    ),
    "signed addresses": (
        "labels.csv",
        LABELS.replace("file_name", "image_url")
        .replace(".png", ".png?sig=a/b")
        .replace("\n", "\nhttps://x.y/")
        .removesuffix("https://x.y/"),
    ),
    "escapes": ("labels.csv", LABELS.replace(".png", "%2Epng")),
    "uploads of Label Studio": ("labels.csv", re.sub(r"(\d\.png)", r"/data/upload/1/abcd1234-\1", LABELS)),
    "local files of Label Studio": ("labels.csv", re.sub(r"(\d\.png)", r"/data/local-files/?d=a/\1", LABELS)),
    "the table of a part": ("train.csv", LABELS),
    "numbers of JSON": (
        "metadata.jsonl",
        "".join(f'{{"file_name": "{i}.png", "label": {["1", "2.0"][i % 2]}}}\n' for i in range(6)),
    ),
    "other case": ("labels.csv", LABELS.replace(".png", ".PNG")),
    "UTF-16": ("labels.csv", LABELS),
}


@pytest.mark.parametrize("case", SPELLINGS)
def test_a_label_file_in_the_archive_says_the_classes(reader: Reader, case: str) -> None:
    name, text = SPELLINGS[case]
    table = {name: text.encode("utf-16" if case == "UTF-16" else "utf-8")}
    dataset = reader(zipped(FLAT | table))
    assert dataset.contents.classes == (("1", "2") if "numbers" in case else ("cat", "dog"))
    assert dataset.index["labels"].tolist() == [0, 1] * 3
    assert dataset.contents.parts is None
    assert not any("ignored" in warning for warning in dataset.contents.warnings)


HEADERS = (
    "id,label",
    "image,level",
    "filepaths,labels",
    "id,breed",
    "ImageId,Label",
    "FileName,ClassName",
    "Path,ClassId",
    "filename,class_id",
    "img,class",
    "fname,target",
    "image_filename,category_name",
    "name,species",
    "url,class",
)


@pytest.mark.parametrize("header", HEADERS)
def test_a_column_may_be_spelt_as_other_tools_do(reader: Reader, header: str) -> None:
    contents = reader(zipped(FLAT | {"labels.csv": LABELS.replace("file_name,label", header).encode()})).contents
    assert contents.classes == ("cat", "dog")


@pytest.mark.parametrize("column", ["patient_id", "PatientID", "patient", "subject", "subject id"])
def test_a_group_may_be_a_patient_or_a_subject(reader: Reader, column: str) -> None:
    rows = "".join(f"{i}.png,{'ab'[i % 2]},p{i // 2}\n" for i in range(6))
    dataset = reader(zipped(FLAT), labels=f"file_name,label,{column}\n{rows}".encode())
    assert dataset.index["groups"].tolist() == [0, 0, 2, 2, 4, 4]


@pytest.mark.parametrize("column", ["set", "data set", "Dataset", "partition", "fold"])
def test_a_split_may_be_a_set_or_a_partition(reader: Reader, column: str) -> None:
    rows = "".join(f"{i}.png,{'ab'[i % 2]},{'train' if i < 4 else 'valid'}\n" for i in range(6))
    dataset = reader(zipped(FLAT), labels=f"file_name,label,{column}\n{rows}".encode())
    assert dataset.contents.parts == {"train": 4, "validation": 2}


def test_columns_that_are_not_read_are_named(reader: Reader) -> None:
    rows = "".join(f"{i}.png,{'ab'[i % 2]},{i},x\n" for i in range(6))
    contents = reader(zipped(FLAT), labels=f"file_name,label,fold,camera\n{rows}".encode()).contents
    assert contents.parts is None
    assert "columns of 'labels.csv' that are not read: fold, camera." in contents.warnings


def test_a_table_of_boxes_is_read_with_a_warning(reader: Reader) -> None:
    rows = "".join(f"{i}.png,8,{'ab'[i % 2]},1,2\n" for i in range(6))
    contents = reader(zipped(FLAT | {"_annotations.csv": f"filename,width,class,xmin,ymin\n{rows}".encode()})).contents
    assert any("bounding boxes, as sets for object detection" in warning for warning in contents.warnings)


def test_tables_called_like_parts_are_the_split(reader: Reader) -> None:
    tables = {
        f"{part}.csv": f"file,label\n{rows}".encode()
        for part, rows in {
            "train": "0.png,a\n1.png,b\n2.png,a\n",
            "val_labels": "3.png,b\n4.png,a\n",
            "test": "5.png\n",
        }.items()
    }
    contents = reader(zipped(FLAT | tables | {"test.csv": b"id\n5\n"})).contents
    assert contents.parts == {"train": 3, "validation": 2}
    assert any(warning.startswith("not used: 'test.csv' has 'id'") for warning in contents.warnings)


def test_a_general_label_file_wins_over_those_of_parts(reader: Reader) -> None:
    contents = reader(zipped(FLAT | {"labels.csv": LABELS.encode(), "train.csv": LABELS.encode()})).contents
    assert contents.classes == ("cat", "dog")
    assert "not used: 'train.csv' lies beside the label file 'labels.csv'." in contents.warnings


def test_a_table_that_names_no_image_is_not_used(reader: Reader) -> None:
    files = {f"{'01'[i % 2]}/{name}": data for i, (name, data) in enumerate(FLAT.items())}
    contents = reader(zipped(files | {"labels.csv": b"ClassId,Name\n0,stop\n1,yield\n"})).contents
    assert contents.classes == ("0", "1")
    assert "not used: 'labels.csv' names no image, such as 'stop'." in contents.warnings


def test_hidden_images_are_none_that_a_row_means(reader: Reader) -> None:
    thumbs = {f"img/.thumbnails/{name}": data for name, data in FLAT.items()} | {".Trashes/x.png": FLAT["0.png"]}
    files = {f"img/{name}": data for name, data in FLAT.items()} | thumbs
    contents = reader(zipped(files | {"img/labels.csv": LABELS.encode()})).contents
    assert contents.samples == 6
    assert any(warning.startswith("left out: 7 images in hidden files") for warning in contents.warnings)


def calls_to_find(count: int) -> int:
    """The calls for as many rows as pictures, whose names differ from the rows in case or by their ending."""
    names = PictureNames.of([f"p{i}/Frame.png" for i in range(count)])
    calls: list[str] = []
    sys.setprofile(lambda _, event, __: calls.append(event))
    try:
        paths = [names.find("", f"p{i}/frame{'.png' if i % 2 else ''}", "") for i in range(count)]
    finally:
        sys.setprofile(None)
    assert paths == [f"p{i}/Frame.png" for i in range(count)]
    return len(calls)


def test_finding_rows_takes_time_in_proportion() -> None:
    assert calls_to_find(800) < 6 * calls_to_find(200)


def test_classes_of_folders_that_labels_overrule_are_named(reader: Reader) -> None:
    files = {f"{'ab'[i % 2]}/{name}": data for i, (name, data) in enumerate(FLAT.items())}
    contents = reader(zipped(files), labels=LABELS.encode()).contents
    words = "the classes are the labels of 'labels.csv', not the folders 'a', 'b': 6 images"
    assert any(warning.startswith(words) for warning in contents.warnings)


def test_whole_numbers_with_a_fraction_keep_their_order(reader: Reader) -> None:
    rows = "".join(f"{i}.png,{[10.0, 2.0, 1.0][i % 3]}\n" for i in range(6))
    assert reader(zipped(FLAT), labels=f"file,label\n{rows}".encode()).contents.classes == ("1.0", "2.0", "10.0")


@pytest.mark.parametrize("folders", ["images/", "set/images/", "set/images/old/"])
def test_a_label_file_names_images_in_folders(reader: Reader, folders: str) -> None:
    files = {folders + name: data for name, data in FLAT.items()}
    table = {folders.partition("/")[0] + "/labels.csv": LABELS.encode()}
    assert reader(zipped(files | table)).contents.classes == ("cat", "dog")


def test_a_label_file_is_sent_beside_the_archive(reader: Reader) -> None:
    wrapped = {f"flat/{name}": data for name, data in FLAT.items()}
    lines = b'{"image": "0.png", "category": 3}\n{"image": "1.png", "category": 10}\n'
    contents = reader(zipped(wrapped), labels=lines, labels_name="labels.jsonl").contents
    assert contents.classes == ("3", "10")
    assert contents.warnings[0] == "left out: 4 images without a row in 'labels.jsonl', such as flat/2.png."


def test_a_label_file_wins_over_class_folders(reader: Reader) -> None:
    files = {f"{'ab'[i % 2]}/{name}": data for i, (name, data) in enumerate(FLAT.items())}
    assert reader(zipped(files), labels=LABELS.encode()).contents.classes == ("cat", "dog")


def test_a_name_in_several_folders_is_the_one_in_its_class(reader: Reader) -> None:
    files = {f"{label}/0.png": FLAT[f"{i}.png"] for i, label in enumerate(("cat", "dog"))}
    table = b"image,class,group\n0.png,dog,p1\n0.png,cat,p2\n"
    dataset = reader(zipped(files | {"metadata.csv": table}))
    assert dataset.contents.samples_per_class == (1, 1)


def test_a_label_called_like_a_part_is_a_class(reader: Reader) -> None:
    contents = reader(zipped(FLAT), labels=LABELS.replace("cat", "train").encode()).contents
    assert contents.classes == ("dog", "train")


def test_a_split_column_is_the_split(reader: Reader) -> None:
    parts = ("train", "train", "VALIDATION", "dev", "test", "Test")
    rows = [f"{i}.png,{'cat' if i % 2 else 'dog'},{part}" for i, part in enumerate(parts)]
    dataset = reader(zipped(FLAT), labels="\n".join(["filename,class,subset", *rows]).encode())
    assert dataset.contents.parts == {"train": 2, "validation": 2, "test": 2}
    assert dataset.index["parts"].tolist() == [0, 0, 1, 1, 2, 2]


def test_folders_of_parts_are_the_split_of_a_label_file(reader: Reader) -> None:
    files = {f"{'train' if i < 4 else 'val'}/{name}": data for i, (name, data) in enumerate(FLAT.items())}
    assert reader(zipped(files), labels=LABELS.encode()).contents.parts == {"train": 4, "validation": 2}


def test_a_part_alone_is_no_split_of_a_label_file(reader: Reader) -> None:
    files = {f"test/{name}": data for name, data in FLAT.items()}
    assert reader(zipped(files), labels=LABELS.encode()).contents.parts is None


def test_a_label_file_in_each_part_is_read(reader: Reader) -> None:
    files = {f"{part}/{name}": data for part in ("train", "test") for name, data in FLAT.items()}
    files |= {f"{part}/metadata.csv": LABELS.encode() for part in ("train", "test")}
    assert reader(zipped(files)).contents.parts == {"train": 6, "test": 6}


def test_groups_are_one_with_copies(reader: Reader) -> None:
    rows = [f"{i}.png,{['cat', 'dog'][i % 2]},{group}" for i, group in enumerate(["p1", "p2", "", "p1", "p2", "p3"])]
    files = FLAT | {"5.png": FLAT["2.png"]}
    dataset = reader(zipped(files), labels="\n".join(["file,label,group", *rows]).encode())
    assert dataset.index["copies"].tolist() == [0, 1, 2, 0, 1, 2]
    assert dataset.contents.copies == {2: 3}, "both kinds of groups stay together in a split"


def test_groups_are_read_without_labels(reader: Reader) -> None:
    files = {f"{'ab'[i % 2]}/{name}": data for i, (name, data) in enumerate(FLAT.items())}
    rows = "".join(f"{'ab'[i % 2]}/{i}.png,{i // 2}\n" for i in range(6))
    dataset = reader(zipped(files | {"metadata.csv": f"file_name,group\n{rows}".encode()}))
    assert dataset.contents.classes == ("a", "b")
    assert sorted(dataset.index["copies"].tolist()) == [0, 0, 1, 1, 2, 2]


def test_a_group_in_two_parts_is_refused(reader: Reader) -> None:
    rows = b"file,label,group,split\n0.png,cat,p1,train\n1.png,dog,p2,train\n2.png,dog,p1,val\n"
    message = refusal(reader, zipped(FLAT), labels=rows)
    assert "line 4: the group 'p1' lies in two parts of the split: '0.png' in train, '2.png' in validation" in message


WRONG_ROWS = (
    b"file_name,label,split\n0.png,cat,train\n1.png,,train\n9.png,dog,train\n0.png,dog,train\n2.png,dog,upper\n"
    b",dog,train\n3.png,dog,train,more\n4.png,do\x07g,train\n5.png,dog,val\n1.png,dog,train\n"
)
FAULTS = (
    "line 3: '1.png' has no label",
    "line 4: there is no image '9.png'",
    "line 5: '0.png' has other values in 'labels.csv', line 2",
    "line 6: its split is 'upper'; allowed: train, val",
    "line 7: it has no file_name",
    "line 8: it has 4 values, and the header 3",
    "line 9: its label has the control character U+0007",
)


def test_wrong_rows_are_all_named_with_their_lines(reader: Reader) -> None:
    message = refusal(reader, zipped(FLAT), labels=WRONG_ROWS)
    assert message.startswith("7 rows of the labels are wrong: ")
    assert all(fault in message for fault in FAULTS)


def test_skip_broken_leaves_wrong_rows_out(reader: Reader) -> None:
    contents = reader(zipped(FLAT), labels=WRONG_ROWS, skip_broken=True).contents
    assert contents.samples == 3
    assert contents.warnings[0].startswith("left out: 7 rows of the labels are wrong: ")
    assert contents.warnings[1] == "left out: 3 images without a row in 'labels.csv', such as 2.png."


def test_the_first_twenty_wrong_rows_are_named(reader: Reader) -> None:
    rows = "".join(f"none{i}.png,cat\n" for i in range(30))
    message = refusal(reader, zipped(FLAT), labels=f"file_name,label\n{rows}".encode())
    assert "30 rows" in message
    assert "line 21: there is no image 'none19.png'; and 10 more" in message
    assert "none20" not in message


def test_wrong_lines_of_json_are_named(reader: Reader) -> None:
    lines = (
        b'{"file_name": "0.png", "label": "cat"}\n{"file_name": \n[1]\n{"file_name": "1.png", "label": ["a", "b"]}\n'
        b'{"file_name": "1.png", "label": 0, "label": 7}\n{"file_name": "1.png", "label": NaN}\n'
        b'{"file_name": "1.png", "label": 1e999}\n'
    )
    message = refusal(reader, zipped(FLAT), labels=lines, labels_name="labels.jsonl")
    assert "line 2: it is not JSON" in message
    assert "line 3: it is not a JSON object" in message
    assert "line 4: its label is a list" in message
    assert "line 5: its key 'label' occurs twice" in message
    assert "line 6: NaN is not a JSON number" in message
    assert "line 7: 1e999 is too large" in message


UNUSABLE = {
    "no column of names": (
        b"number,label\n1,cat\n",
        "has 'label', 'number'; expected: the columns file_name and label",
    ),
    "no column of labels": (b"file_name,caption\n1,cat\n", "expected: the columns file_name and label"),
    "no rows": (b"file_name,label\n", "has no rows"),
    "nothing": (b"", "has no rows"),
    "two columns of one name": (b"file_name,label,Label\n", "has the column 'label' twice"),
    "a code page": (b"file_name,label\n0.png,K\xe4tzchen\n", "is not text in UTF-8, line 2"),
    "a quote without an end": (b'file_name,label\n"0.png,cat\n', "is not a table, line 2"),
    "a long label": (b"file_name,label\n0.png," + b"x" * 2000, "line 2: its label has 2,000 characters; at most 1,024"),
    "zeros": (b"file_name,label\n0.png,\0\n", "U+0000"),
    "a name of two images": (b"image_id,label\n0,cat\n", "give more of the path"),
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_a_file_beside_that_says_no_labels_is_refused(reader: Reader, case: str) -> None:
    data, words = UNUSABLE[case]
    files = FLAT | {"a/0.png": FLAT["0.png"], "b/0.png": FLAT["0.png"]} if "two images" in case else FLAT
    if "two images" in case:
        files = {f"x/{name}": data for name, data in files.items()}
    assert words in refusal(reader, zipped(files), labels=data)


def test_a_table_without_labels_beside_classes_is_passed_over(reader: Reader) -> None:
    files = {f"{'ab'[i % 2]}/{name}": data for i, (name, data) in enumerate(FLAT.items())}
    contents = reader(zipped(files | {"metadata.csv": b"file_name,caption\na/0.png,a cat\n"})).contents
    assert contents.classes == ("a", "b")
    assert any(w.startswith("not used: 'metadata.csv' has 'caption', 'file_name'; expected") for w in contents.warnings)
    assert any(w.startswith("ignored") and "metadata.csv" in w for w in contents.warnings)


def test_a_flat_archive_says_why_its_label_file_is_not_used(reader: Reader) -> None:
    assert "'labels.csv' has 'a', 'b'; expected" in refusal(reader, zipped(FLAT | {"labels.csv": b"a,b\n1,2\n"}))


def test_two_label_files_in_one_folder_are_refused(reader: Reader) -> None:
    tables = {"labels.csv": LABELS.encode(), "metadata.csv": LABELS.encode()}
    assert "are both label files" in refusal(reader, zipped(FLAT | tables))
