"""What folders mean: classes, parts of the split, folders around and beside them. The rest is refused with a reason."""

import itertools
import re
import unicodedata
from random import Random

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from service.core.errors import InvalidData
from tests.pictures import encoded, stripes, zipped
from tests.workers.datasets.ingest.reading import MOST, Reader, refusal
from workers.datasets.ingest.layout import arrange
from workers.datasets.ingest.paths import Place
from workers.datasets.ingest.read import read

DOT = [encoded(stripes("rows", i, 4)) for i in range(8)]
PAIR = ("cat/1.png", "cat/2.png", "dog/1.png", "dog/2.png")


def tree(*names: str) -> dict[str, bytes]:
    """A file for each name: an image, or text by its ending."""
    return {name: DOT[i % len(DOT)] if name.endswith((".png", ".jpg")) else b"text" for i, name in enumerate(names)}


def below(*folders: str) -> tuple[str, ...]:
    """Two cats and two dogs below each folder."""
    return tuple(f"{folder}/{name}" for folder in folders for name in PAIR)


DIVIDED = {
    "torchvision's tutorial": below("train", "val"),
    "Roboflow's": below("train", "valid"),
    "words in capitals": below("Training", "Validation"),
    "years": below("train2017", "val2017"),
    "sets": below("training_set", "dev_set"),
    "sets with other words": below("Original Training Data", "private_dev_set"),
    "doubled folders": below("seg_train/seg_train", "seg_dev/seg_dev"),
    "folders of images": below("train/images", "val/images"),
    "the same folder in each part": below("train/animals", "val/animals"),
    "a word beside the part": below("asl_alphabet_train/asl_alphabet_train", "asl_alphabet_val"),
    "wrapped": below("pets/pets/train", "pets/pets/val"),
    "below the classes": ("cat/train/1.png", "cat/val/2.png", "dog/train/1.png", "dog/val/2.png"),
    "a part twice": (*below("train_1", "train_2", "val"),),
    "shards of a part": below("train-00000-of-00002", "train-00001-of-00002", "val-00000-of-00001"),
    "German words": below("Trainingsdaten", "Validierungsdaten"),
}


@pytest.mark.parametrize("case", DIVIDED)
def test_folders_of_a_split_are_no_classes(reader: Reader, case: str) -> None:
    contents = reader(zipped(tree(*DIVIDED[case]))).contents
    assert contents.classes == ("cat", "dog")
    assert contents.parts is not None
    assert contents.parts.keys() == {"train", "validation"}
    assert sum(contents.parts.values()) == len(DIVIDED[case])


WHOLE = {
    "doubled wrappers": below("pets/pets"),
    "a part alone": below("train"),
    "a doubled part alone": below("training_set/training_set"),
    "a folder within a class": ("cat/old/1.png", "cat/2.png", "dog/1.png"),
    "a wrapper with notes": (*below("pets"), "readme.txt"),
}


@pytest.mark.parametrize("case", WHOLE)
def test_folders_around_the_classes_are_no_classes(reader: Reader, case: str) -> None:
    contents = reader(zipped(tree(*WHOLE[case]))).contents
    assert (contents.classes, contents.parts) == (("cat", "dog"), None)


LEFT_OUT = {
    "results beside the parts": ((*below("train", "val"), "runs/classify/train/batch.png"), "runs/"),
    "another folder beside the parts": ((*below("train", "val"), "extra/1.png"), "beside the folders 'train', 'val'"),
    "a test folder without labels": ((*below("train"), "test/1.png"), "in the folder 'test'"),
    "a doubled test folder without labels": ((*below("train"), "test/test/1.png"), "in the folder 'test'"),
    "a validation folder without labels": ((*below("train"), "val/images/1.png"), "in the folder 'val'"),
    "results beside the classes": ((*PAIR, "runs/1.png"), "runs/1.png"),
    "a test folder of its own without labels": ((*below("train"), "test_unlabeled/1.png"), "not classes"),
    "images without labels": ((*PAIR, "unlabeled/1.png"), "unlabeled/1.png"),
    "masks of defects": (
        tuple(f"{c}/{n}.png" for c in ("good", "bad", "ground_truth/bad") for n in (1,)),
        "ground_truth",
    ),
    "masks beside the images": ((*below("images"), "masks/1.png"), "in the folder 'masks', beside the folder 'images'"),
    "masks of each class beside the images": (below("images", "masks"), "in the folder 'masks'"),
    "masks of each class beside the train folder": (below("train", "masks"), "in the folder 'masks'"),
    "a copy of the set": (
        (*PAIR, "pets/cat/1.png", "pets/dog/1.png"),
        "in 'pets', whose subfolders have the names of the classes",
    ),
    "hidden images": ((*PAIR, ".thumbnails/1.png"), "hidden"),
    "thumbnails of a storage": ((*PAIR, "cat/@eaDir/1.png/SYNOPHOTO_THUMB_M.jpg"), "systems and tools"),
}


@pytest.mark.parametrize("case", LEFT_OUT)
def test_images_without_a_class_are_left_out_and_named(reader: Reader, case: str) -> None:
    names, words = LEFT_OUT[case]
    contents = reader(zipped(tree(*names))).contents
    (warning,) = [warning for warning in contents.warnings if warning.startswith("left out: ")]
    assert words in warning
    assert contents.samples == len(names) - int(warning.split()[2])


REFUSED = {
    "a flat folder": (("1.png", "2.png"), "no folders give the classes"),
    "flat parts": (("train/cat.0.png", "train/dog.0.png", "test1/1.png"), "label file, labels.csv"),
    "domains": (("trainA/1.png", "trainB/1.png", "testA/2.png"), "no folders give the classes"),
    "domains in capitals": (("TRAINA/1.png", "TESTA/1.png"), "no folders give the classes"),
    "inputs and outputs": (("train_x/1.png", "train_y/1.png"), "no folders give the classes"),
    "German parts": (("Trainingsdaten/1.png", "Testdaten/1.png"), "no folders give the classes"),
    "one folder of images": (("images/1.png", "images/2.png"), "no folders give the classes"),
    "images and masks": (("images/1.png", "masks/1.png"), "no folders give the classes"),
    "YOLO": (("images/train/1.png", "images/val/2.png", "labels/train/1.txt"), "a YOLO set"),
    "Roboflow's YOLO": (("train/images/1.png", "train/labels/1.txt", "valid/images/2.png"), "a YOLO set"),
    "COCO": (("train2017/1.png", "val2017/2.png", "annotations/instances_train2017.json"), "a COCO set"),
    "Roboflow's COCO": (("train/1.png", "train/_annotations.coco.json", "test/2.png"), "a COCO set"),
    "Pascal VOC": (("JPEGImages/1.png", "Annotations/1.xml"), "a Pascal VOC set"),
    "YOLO in two folders": (
        ("a/images/1.png", "a/labels/1.txt", "b/images/2.png", "b/labels/2.txt"),
        "the folders do not give the classes: this looks like a YOLO set for object detection: 'a/labels/1.txt'",
    ),
    "Pascal VOC of two years": (
        tuple(
            f"VOCdevkit/VOC{year}/{name}" for year in (2007, 2012) for name in ("JPEGImages/1.jpg", "Annotations/1.xml")
        ),
        "a Pascal VOC set",
    ),
    "Pascal VOC with segmentation": (
        tuple(f"VOC2007/{name}" for name in ("JPEGImages/1.jpg", "SegmentationClass/1.png", "Annotations/1.xml")),
        "a Pascal VOC set",
    ),
    "masks of classes, or a class": (
        ("masks/p1/1.png", "masks/p2/1.png", "faces/p1/1.png", "faces/p2/1.png"),
        "the folders 'faces', 'masks' all have folders: are they the classes, or the folders in 'faces'?",
    ),
    "a class called like a folder beside": (
        ("models/nike/1.png", "shoes/nike/1.png", "shoes/adidas/1.png"),
        "the folders 'models', 'shoes' all have folders",
    ),
    "a part among classes": (("train/1.png", "bus/1.png", "car/1.png"), "a part of a split, or a class?"),
    "a quality called valid": (("valid/1.png", "invalid/1.png"), "a part of a split, or a class?"),
    "no part to train on": (below("val", "test"), "there is no folder train, but there is 'test', 'val'"),
    "a flat train": (("train/1.png", *below("val")), "'train' has no class folders, but there is 'val'"),
    "a part below some classes": (("cat/train/1.png", "cat/val/1.png", "dog/1.png"), "'dog/1.png' lies in no folder"),
    "a part between folders": (
        ("bottle/train/good/1.png", "bottle/test/bad/1.png", "cable/train/good/1.png"),
        "are the classes above or below?",
    ),
    "a part deep in a class": (("cat/old/test/1.png", "dog/1.png"), "lies below 'test'"),
    "two years of Pascal VOC": (
        ("VOC2007/JPEGImages/1.jpg", "VOC2012/JPEGImages/2.jpg"),
        "a Pascal VOC set for object detection: the folder 'JPEGImages'",
    ),
    "parts that contradict each other": (
        (*below("train"), "train/cat/val/9.png", *below("val")),
        "two parts of a split",
    ),
    "a class only tested on": ((*below("train"), "test/emu/1.png"), "'emu'"),
    "a class that differs by case": ((*below("train"), "test/Dog/1.png"), "'dog' differs by case"),
    "images above the classes": ((*PAIR, "1.png", "2.png"), "2 images lie in no folder of a class, such as '1.png'"),
    "images above the classes of a part": (
        (*below("train", "val"), "train/1.png"),
        "1 image lies in no folder of a class, such as 'train/1.png'",
    ),
    "one class beside others": (
        ("cat/1.png", "runs/1.png"),
        "'cat'; a classifier needs two or more; left out: 1 image",
    ),
    "results alone": (("runs/1.png", "pred/2.png"), "no images in folders of classes, but 2 elsewhere"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_an_unclear_layout_is_refused_with_the_reason(reader: Reader, case: str) -> None:
    names, words = REFUSED[case]
    assert words in refusal(reader, zipped(tree(*names)))


OFTEN_NONE = "read as classes, although such folders often are not classes"
CALLED_LIKE_PARTS = "read as classes, although their names are like those of parts of a split"
DOUBTFUL = {
    "sides of a set for segmentation": (("imagesTr/1.png", "labelsTr/1.png"), OFTEN_NONE),
    "resolutions in parts": (
        ("train/HR/1.png", "train/LR/1.png", "val/HR/1.png", "val/LR/1.png"),
        f"{OFTEN_NONE}: 'HR', 'LR'",
    ),
    "a class that has a word of a part": (("train-clean/1.png", "train-noisy/1.png"), CALLED_LIKE_PARTS),
    "a class that has a word of a part with a capital": (("cleanTrain/1.png", "noisy/1.png"), CALLED_LIKE_PARTS),
    "annotations beside classes": ((*PAIR, "annotations/all.json"), "though this looks like a COCO set"),
    "a folder that is often none": (
        (*PAIR, "plots/1.png"),
        "read as classes, although such folders often are not classes",
    ),
    "classes below years": (below("2020", "2021"), "each of the class folders '2020', '2021' has the same folders"),
    "names that differ by case": ((*PAIR, "Cat/1.png"), "'Cat', 'cat' differ only by case or a space"),
    "names that differ by a space": ((*PAIR, "cat /1.png"), "'cat', 'cat ' differ only by case or a space"),
    "a class that is not validated on": (
        (*below("train"), "val/cat/1.png"),
        "the validation images have none of the class 'dog'",
    ),
}


@pytest.mark.parametrize("case", DOUBTFUL)
def test_a_doubtful_layout_is_read_with_a_warning(reader: Reader, case: str) -> None:
    names, words = DOUBTFUL[case]
    contents = reader(zipped(tree(*names))).contents
    assert contents.samples == sum(name.endswith(".png") for name in names)
    assert any(words in warning for warning in contents.warnings)


def test_annotations_in_class_folders_are_no_detection(reader: Reader) -> None:
    names = (*below("images"), *(f"Annotations/{name[:-3]}xml" for name in PAIR))
    contents = reader(zipped(tree(*names))).contents
    assert contents.classes == ("cat", "dog")
    assert not any("object detection" in warning for warning in contents.warnings)


def test_folders_that_are_numbers_keep_their_order(reader: Reader) -> None:
    names = [f"{number}/1.png" for number in (10, 2, 1, 0)]
    assert reader(zipped(tree(*names))).contents.classes == ("0", "1", "2", "10")


def test_composed_and_decomposed_names_are_one_class(reader: Reader) -> None:
    composed, decomposed = (unicodedata.normalize(form, "Café") for form in ("NFC", "NFD"))
    files = tree(f"train/{composed}/1.png", "train/Tee/1.png", f"train/{decomposed}/1.png", f"val/{decomposed}/2.png")
    contents = reader(zipped(files)).contents
    assert contents.classes == (composed, "Tee")
    assert contents.parts == {"train": 3, "validation": 1}


def test_empty_class_folders_of_a_part_are_named(reader: Reader) -> None:
    contents = reader(
        zipped(tree(*below("train", "val")) | {"train/emu/": b"", "test/": b"", "val/dog/": b""})
    ).contents
    assert "1 class folder has no images, so no class: 'emu'." in contents.warnings


PARTS = "train val valid validation dev test training_set test_set Train TEST train2017 val2017 seg_train testset"
OTHERS = "images data runs plots pred seg_pred unlabeled ground_truth masks pets cat dog emu Cat 1 2 10 @eaDir .git"
WORDS = f"{PARTS} {OTHERS}".split()
LAYERS = st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=4, unique=True), max_size=4)
STRAY = st.lists(st.lists(st.sampled_from(WORDS), max_size=4), max_size=3)


@hypothesis_settings(max_examples=150, deadline=None)
@given(layers=LAYERS, stray=STRAY)
def test_any_tree_is_read_or_refused_and_loses_no_image(
    tmp_path_factory: pytest.TempPathFactory, layers: list[list[str]], stray: list[list[str]]
) -> None:
    names = ["/".join([*folders, "1.png"]) for folders in itertools.product(*layers)]
    names += ["/".join([*folders, f"{i}.jpg"]) for i, folders in enumerate(stray)]
    folder = tmp_path_factory.mktemp("tree")
    (folder / "upload").write_bytes(zipped(tree(*names)))
    (folder / "pack").mkdir()
    try:
        contents = read("zip", folder / "upload", folder / "pack", MOST)
    except InvalidData:
        return
    left_out = [re.match(r"left out: ([\d,]+) images? ", warning) for warning in contents.warnings]
    assert contents.samples + sum(int(match[1]) for match in left_out if match) == len(names)
    assert not set(contents.classes) & set(PARTS.split())


def test_most_trees_of_classes_are_read() -> None:
    random, read_trees, trees = Random(1), 0, 200
    for _ in range(trees):
        parts = random.sample(["train", "val", "test", "train2017", "Valid"], random.randint(0, 2))
        classes = random.sample(["cat", "dog", "emu", "pets", "1", "2", "plots"], random.randint(2, 4))
        wrappers = random.sample(["pets", "data", "images"], random.randint(0, 1))
        folders = itertools.product(["/".join(wrappers)], parts or [""], classes)
        names = ["/".join(filter(None, (*path, "1.png"))) for path in folders]
        try:
            read_trees += bool(arrange(names).places)
        except InvalidData:
            assert parts
            assert not {"train", "train2017"} & set(parts)
    assert read_trees > 0.6 * trees


@hypothesis_settings(max_examples=50, deadline=None)
@given(
    around=st.lists(st.sampled_from(("pets", "data", "my set")), max_size=2),
    train=st.sampled_from(("train", "Training", "training_set", "seg_train", "train2017")),
    validation=st.sampled_from(("val", "Valid", "validation", "dev", "val2017")),
    is_doubled=st.booleans(),
    is_below=st.booleans(),
    beside=st.lists(st.sampled_from(("runs", "pred", "unlabeled", "seg_pred", "ground_truth")), unique=True),
)
def test_a_common_tree_is_understood(
    around: list[str], train: str, validation: str, is_doubled: bool, is_below: bool, beside: list[str]
) -> None:
    names = []
    for part, label in itertools.product((train, validation), ("cat", "dog")):
        parts = [part, part] if is_doubled else [part]
        names.append("/".join([*around, *([label, *parts] if is_below else [*parts, label]), "1.png"]))
    layout = arrange([*names, *("/".join([*around, folder, "1.png"]) for folder in beside)])
    assert {name: layout.places[name] for name in names} == {
        name: Place("cat" if "/cat/" in f"/{name}" else "dog", int(f"/{validation}/" in f"/{name}")) for name in names
    }
    assert len(layout.places) == len(names) + len(beside)
