"""What the names of folders say: parts of a split, results of a training, containers of images."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import lru_cache

PART_NAMES = ("train", "validation", "test")
TRAIN, VALIDATION, TEST = range(3)
PARTS: Mapping[str, int] = (
    dict.fromkeys(("train", "training", "trainings", "trainval", "trn"), TRAIN)
    | dict.fromkeys(["val", "valid", "validation", "validate", "validating", "validierung", "validierungs"], VALIDATION)
    | dict.fromkeys(("dev", "development", "eval", "evaluation"), VALIDATION)
    | dict.fromkeys(("test", "testing", "tst", "holdout"), TEST)
)
GERMAN = "daten|datensatz|bilder"  # Trainingsdaten, Testbilder
# Possessive quantifiers (*+) keep the matching linear in the length of a name.
FILLERS = (  # words beside a part that do not change its meaning: train_images, seg_train, new_test_set
    "sub|sets?|datasets?|data|images?|imgs?|jpe?gs?|pngs?|pictures?|pics?|photos?|files?|folders?|samples?|splits?|parts?|"
    "seg|raw|new|all|full|public|private|final|original|resized|cropped|aug(?:mented)?|single|my|the|of|"
    f"{GERMAN}"
)
IMAGES = (
    "(?:all|raw|new|original|resized|cropped|aug(?:mented)?)*+"
    "(?:images?|imgs?|datasets?|data|jpe?gs?|pngs?|files?|pictures?)++"
)
RESULTS = (  # what tools write, or data without a class
    "runs|mlruns|wandb|lightninglogs|checkpoints|groundtruths?|unlabell?ed|nolabels?|preds?|predict|predictions?|"
    "segpreds?"
)
BESIDE = (  # what may lie beside class folders, and may be a class as well
    "masks?|labels?|annotations?|plots?|results?|outputs?|figures?|logs?|weights|models?|visuali[sz]ations?|"
    "bbox(?:es)?|metadata|docs|scripts?|src|code|notebooks?|examples?"
)
PAIRED = (  # sides of sets for segmentation and restoration, such as imagesTr; they may be classes as well
    "(?:images?|labels?)(?:tr|ts|va)|segmentations?(?:class|object|masks?)?(?:raw|aug)?|leftimgbit|rightimgbit|gt|"
    "gtfine|gtcoarse|[hl]r|(?:high|low)res(?:olution)?|inputs?|targets?"
)
NO_LETTERS = re.compile(r"[\W\d_]+")
PART_WORDS = "|".join(sorted(PARTS, key=len, reverse=True))
OF_A_PART = re.compile(f"(?:{FILLERS})*+({PART_WORDS})(?:{FILLERS})*+")
BESIDE_RESULTS = f"(?:{FILLERS}|{PART_WORDS})*+"
OF_RESULTS = re.compile(f"{BESIDE_RESULTS}(?:{RESULTS}){BESIDE_RESULTS}")
OF_PAIRS = re.compile(f"{BESIDE_RESULTS}(?:{PAIRED}|{BESIDE}){BESIDE_RESULTS}")
REMEMBERED = 1 << 16  # names; the folders of an archive repeat in the paths of its files
DOMAIN = re.compile(r"(?<=[A-Za-z])[ABXY]$|(?<=[\W_])[abxyABXY]$")  # the letter of trainA and TRAINB, train_x
HUMP = re.compile("(?<=[a-z])(?=[A-Z])")  # between the words of trainClean


@lru_cache(REMEMBERED)
def part_of(name: str) -> int | None:
    """The part of the split that a folder's name says, an index of PART_NAMES: `Train`, `seg_train`, `train2017`."""
    match = OF_A_PART.fullmatch(_letters(DOMAIN.sub("", name)))
    return PARTS[match[1]] if match else None


def parts_among(names: Iterable[str]) -> dict[str, int]:
    """The parts among the names of sibling folders: by their words, or since names with a `train` differ in that word
    alone, as asl_train and asl_test do.
    """
    names = sorted(names)
    by_word = {name: part for name in names if (part := part_of(name)) is not None}
    if by_word:
        return by_word
    alike: dict[tuple[str, ...], dict[str, int]] = defaultdict(dict)
    for name in names:
        words = _words(name)
        known = [i for i, word in enumerate(words) if word in PARTS]
        if len(known) == 1:
            rest = tuple("" if i == known[0] else word for i, word in enumerate(words))
            alike[rest][name] = PARTS[words[known[0]]]
    divided = (parts for parts in alike.values() if TRAIN in parts.values() and len(set(parts.values())) > 1)
    return next(divided, {})


def is_container(name: str) -> bool:
    """Whether a name says no more than that there are images."""
    return bool(re.fullmatch(IMAGES, _letters(name)))


@lru_cache(REMEMBERED)
def is_of_results(name: str) -> bool:
    """Whether a folder certainly holds no class: results of a training, or images without labels."""
    return bool(OF_RESULTS.fullmatch(_letters(name)))


def may_be_no_class(name: str) -> bool:
    """Whether a folder is often none of the classes: a container, masks, plots."""
    return is_container(name) or bool(re.fullmatch(BESIDE, _letters(name)))


def is_often_no_class(name: str) -> bool:
    """Whether a folder that is taken as a class deserves a warning, as `masks` and `train_HR` do."""
    letters = _letters(name)
    return may_be_no_class(name) or bool(re.fullmatch(PAIRED, letters) or OF_PAIRS.fullmatch(letters))


def has_word_of_a_part(name: str) -> bool:
    """Whether a word of the name is that of a part: `train-clean`, `noisyTest`."""
    return any(word in PARTS for word in _words(HUMP.sub(" ", name)))


def _words(name: str) -> list[str]:
    return [word for word in NO_LETTERS.split(_folded(name)) if word]


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold()


def _letters(name: str) -> str:
    return NO_LETTERS.sub("", _folded(name))
